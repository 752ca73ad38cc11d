//! Amounts for people to read. Integers only: no amount ever passes through a float.

use iso_currency::Currency;

/// `minor` units of the ISO 4217 currency `code` in major units with the currency's own number of decimals.
///
/// A code that ISO 4217 does not list is shown with two decimals, as most currencies have them.
pub fn format(minor: i64, code: &str, decimal_mark: char) -> String {
    let decimals = Currency::from_code(code)
        .map_or(Some(2), Currency::exponent)
        .unwrap_or(0);
    let sign = if minor < 0 { "-" } else { "" };
    let magnitude = minor.unsigned_abs();
    if decimals == 0 {
        return format!("{sign}{magnitude}");
    }
    let scale = 10_u64.pow(decimals.into());
    let width = usize::from(decimals);
    format!(
        "{sign}{}{decimal_mark}{:0width$}",
        magnitude / scale,
        magnitude % scale
    )
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn follows_the_currency() {
        for (minor, code, expected) in [
            (1000, "USD", "10.00"),
            (5, "EUR", "0.05"),
            (500, "JPY", "500"),
            (1250, "KWD", "1.250"),
            (-1999, "USD", "-19.99"),
            (i64::MIN, "USD", "-92233720368547758.08"),
            (0, "KWD", "0.000"),
            (123, "???", "1.23"),
        ] {
            assert_eq!(format(minor, code, '.'), expected, "{minor} {code}");
        }
        assert_eq!(format(1000, "EUR", ','), "10,00");
    }
}
