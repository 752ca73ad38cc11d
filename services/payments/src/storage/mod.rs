//! All SQL of the service.
//!
//! Functions take a connection; the use case owns the transaction, or leaves a single statement to be one by itself. Look-ups return an
//! `Option`.

pub mod charge;
pub mod currency;
pub mod customer;
pub mod ledger;
pub mod method;
pub mod payment;

/// A column that holds what its CHECK does not allow.
fn unknown(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column} has an unknown value").into())
}

/// `Some` of a text that is not empty, cut to what its column holds: `NULL` stands for nothing here.
fn text(text: Option<&str>, most_chars: usize) -> Option<&str> {
    let text = text.filter(|text| !text.is_empty())?;
    let end = text
        .char_indices()
        .nth(most_chars)
        .map_or(text.len(), |(end, _)| end);
    Some(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn texts_are_cut_by_characters_and_nothing_is_null() {
        assert_eq!(text(Some("äöü"), 2), Some("äö"));
        assert_eq!(text(Some("ab"), 2), Some("ab"));
        assert_eq!(text(Some(""), 2), None);
        assert_eq!(text(None, 2), None);
    }
}
