//! Lists in pages: `?limit=` (default 50, at most 200) and an opaque `?cursor=`, newest first.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::Query;
use crate::problem::Problem;

/// The page size without `?limit=`.
pub const DEFAULT_LIMIT: u16 = 50;
/// The largest page.
pub const MAX_LIMIT: u16 = 200;

/// The page that a request asks for. `C` is the position after which the page begins: what the rows are ordered by,
/// such as the id or `(created_at, id)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<C = i64> {
    /// How many items at most, 1 to [`MAX_LIMIT`].
    pub limit: u16,
    /// The position of the last item of the page before; `None` for the first page.
    pub after: Option<C>,
}

/// The query parameters of [`Page`], for OpenAPI documents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// How many items at most.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Pass it as `?cursor=` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl<C> Page<C> {
    /// How many rows to read: one more than the limit, which tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

impl<T> List<T> {
    /// Cuts `rows` (up to [`Page::fetch`] of them) to the page; `position` tells the position of a row.
    pub fn new<R, C: Serialize>(
        mut rows: Vec<R>,
        page: &Page<C>,
        position: impl Fn(&R) -> C,
        item: impl FnMut(R) -> T,
    ) -> Self {
        let limit = usize::from(page.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more {
            rows.last().map(|row| encode(&position(row)))
        } else {
            None
        };
        Self {
            items: rows.into_iter().map(item).collect(),
            next_cursor,
        }
    }
}

/// Writes a position as an opaque cursor.
pub fn encode<C: Serialize>(position: &C) -> String {
    // Positions are numbers, texts and tuples of them, which always serialise.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).unwrap_or_default())
}

/// Reads a cursor that [`encode`] wrote.
pub fn decode<C: DeserializeOwned>(cursor: &str) -> Option<C> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A number without a sign, which `parse` would take.
fn digits(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

impl<S, C> FromRequestParts<S> for Page<C>
where
    S: Send + Sync,
    C: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(params) = Query::<PageParams>::from_request_parts(parts, state).await?;
        let limit = match params.limit {
            None => DEFAULT_LIMIT,
            Some(limit) => digits(&limit)
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| Problem::bad_request(format!("`limit` must be from 1 to {MAX_LIMIT}")))?,
        };
        let after = match params.cursor.filter(|cursor| !cursor.is_empty()) {
            None => None,
            Some(cursor) => Some(decode(&cursor).ok_or_else(|| {
                Problem::bad_request("`cursor` is not one that this list gave; begin without it")
            })?),
        };
        Ok(Self { limit, after })
    }
}
