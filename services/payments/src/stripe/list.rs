//! Lists, page after page (<https://docs.stripe.com/api/pagination>).

use futures::stream::{self, Stream, TryStreamExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::StripeError;
use super::form::Form;
use super::request::{Path, Request};

/// Objects in one page; Stripe's most.
const PAGE: u32 = 100;

/// When objects were created: from `from` on and before `until`. Stripe counts in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// The first moment.
    pub from: Option<OffsetDateTime>,
    /// The first moment after the last.
    pub until: Option<OffsetDateTime>,
}

impl Created {
    /// From that moment on.
    pub fn since(from: OffsetDateTime) -> Self {
        Self {
            from: Some(from),
            until: None,
        }
    }

    pub(super) fn filter(self, form: Form) -> Form {
        let bound = |form: Form, name, moment: Option<OffsetDateTime>| match moment {
            Some(moment) => form.nested("created", name, moment.unix_timestamp()),
            None => form,
        };
        bound(bound(form, "gte", self.from), "lt", self.until)
    }

    pub(super) fn contains(self, created: i64) -> bool {
        self.from.is_none_or(|from| from.unix_timestamp() <= created)
            && self.until.is_none_or(|until| created < until.unix_timestamp())
    }
}

/// An object that can be listed.
pub(super) trait Listed: DeserializeOwned + Send {
    /// Its id, by which the next page is asked for.
    fn id(&self) -> &str;
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    has_more: bool,
}

/// Where a listing stands.
enum Cursor {
    Start(Form),
    After { filters: Form, last: String },
    End,
}

impl StripeClient {
    /// All objects that pass `filters`, and `keep`, which says the same: a page is asked for when it is needed.
    ///
    /// localstripe refuses most filters. There, and only there, the list is asked for without them.
    pub(super) fn list<T: Listed>(
        &self,
        operation: &'static str,
        resource: &'static str,
        filters: Form,
        keep: impl Fn(&T) -> bool + Send,
        deadline: Instant,
    ) -> impl Stream<Item = Result<T, StripeError>> + Send {
        let pages = stream::try_unfold(Cursor::Start(filters), move |cursor| async move {
            let (page, filters) = match cursor {
                Cursor::End => return Ok(None),
                Cursor::After { filters, last } => {
                    let parameters = filters.clone().with("starting_after", last);
                    (
                        self.page::<T>(operation, resource, parameters, deadline).await?,
                        filters,
                    )
                }
                Cursor::Start(filters) => {
                    match self.page(operation, resource, filters.clone(), deadline).await {
                        Err(StripeError::Refused(_)) if !self.is_stripe_itself() => {
                            let expansions = filters.expansions();
                            let all = self
                                .page(operation, resource, expansions.clone(), deadline)
                                .await?;
                            (all, expansions)
                        }
                        page => (page?, filters),
                    }
                }
            };
            let next = match page.data.last() {
                Some(last) if page.has_more => Cursor::After {
                    filters,
                    last: last.id().to_owned(),
                },
                _ => Cursor::End,
            };
            Ok(Some((stream::iter(page.data.into_iter().map(Ok)), next)))
        });
        pages
            .try_flatten()
            .try_filter(move |object| std::future::ready(keep(object)))
    }

    async fn page<T: Listed>(
        &self,
        operation: &'static str,
        resource: &'static str,
        parameters: Form,
        deadline: Instant,
    ) -> Result<Page<T>, StripeError> {
        let parameters = parameters.with("limit", PAGE);
        self.call(Request::get(operation, Path::all(resource), parameters, deadline))
            .await
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_day_ends_where_the_next_begins() {
        let day = Created {
            from: Some(datetime!(2026-03-01 0:00 UTC)),
            until: Some(datetime!(2026-03-02 0:00 UTC)),
        };
        let at = |moment: OffsetDateTime| day.contains(moment.unix_timestamp());
        assert!(at(datetime!(2026-03-01 0:00 UTC)) && at(datetime!(2026-03-01 23:59:59 UTC)));
        assert!(!at(datetime!(2026-02-28 23:59:59 UTC)) && !at(datetime!(2026-03-02 0:00 UTC)));
        assert_eq!(
            day.filter(Form::new()).encode(),
            "created%5Bgte%5D=1772323200&created%5Blt%5D=1772409600"
        );
        assert!(Created::default().contains(0));
        assert_eq!(Created::default().filter(Form::new()).encode(), "");
    }
}
