//! Language tags (BCP 47) and what to fall back to.

/// The language every template exists in.
pub const DEFAULT: &str = "en";

/// The tags to try for `tag`, most particular first: `de-AT` gives `de-AT`, `de`, `en` (RFC 4647 §3.4, lookup).
pub fn lookup(tag: Option<&str>) -> impl Iterator<Item = &str> {
    let mut next = tag.filter(|tag| !tag.is_empty());
    let chain = std::iter::from_fn(move || {
        let tag = next?;
        next = tag.rfind(['-', '_']).map(|end| &tag[..end]);
        Some(tag)
    });
    let last = tag.filter(|tag| primary(tag).eq_ignore_ascii_case(DEFAULT));
    chain.chain(last.is_none().then_some(DEFAULT))
}

/// The mark between units and decimals in that language.
pub fn decimal_mark(tag: &str) -> char {
    match primary(tag).to_ascii_lowercase().as_str() {
        "de" | "fr" | "es" | "it" | "nl" | "pt" | "pl" | "sv" | "da" | "nb" | "fi" | "cs" => ',',
        _ => '.',
    }
}

fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_back_step_by_step_to_english() {
        let chain = |tag| lookup(tag).collect::<Vec<_>>();
        assert_eq!(chain(Some("de-AT")), ["de-AT", "de", "en"]);
        assert_eq!(chain(Some("zh-Hant-TW")), ["zh-Hant-TW", "zh-Hant", "zh", "en"]);
        assert_eq!(chain(Some("en-GB")), ["en-GB", "en"]);
        assert_eq!(chain(Some("")), ["en"]);
        assert_eq!(chain(None), ["en"]);
    }
}
