//! Exact amounts: read from requests, shown with their currency's decimals. Integers only: no amount ever passes through a float.

use std::fmt;

/// The digits before the point of legacy's `numeric(14, 3)`, which every amount must fit.
const MAX_INTEGER_DIGITS: usize = 11;

/// The digits after the point that the text of an amount may have at all.
const MAX_TEXT_DECIMALS: usize = 20;

/// The largest exponent of ISO 4217 (CLF, UYW).
pub const MAX_EXPONENT: u8 = 4;

/// An ISO 4217 code, three capital letters.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CurrencyCode([u8; 3]);

impl CurrencyCode {
    /// The code in that text, if it has a code's form.
    pub fn new(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // Three ASCII letters, by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A currency that payments can be made in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Currency {
    /// Its code.
    pub code: CurrencyCode,
    exponent: u8,
}

impl Currency {
    /// No currency at all, `XXX` in ISO 4217: what the form of an amount is judged in while its currency is wrong. Nothing is
    /// ever charged in it. Three decimals, as the monolith's.
    pub const NONE: Self = Self {
        code: CurrencyCode(*b"XXX"),
        exponent: 3,
    };

    /// The currency with that code and so many digits after the point, at most [`MAX_EXPONENT`].
    pub fn new(code: CurrencyCode, exponent: u8) -> Option<Self> {
        (exponent <= MAX_EXPONENT).then_some(Self { code, exponent })
    }

    /// Digits after the point; ISO 4217 calls it the exponent.
    pub const fn exponent(self) -> u8 {
        self.exponent
    }
}

/// An amount as a JSON body had it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RawAmount<'a> {
    /// A string.
    Text(&'a str),
    /// A number, as the text that it was written in (RFC 8259, section 6).
    Number(&'a str),
    /// Neither.
    Other,
}

/// Why an amount was refused. The texts are the monolith's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadAmount {
    /// Neither a string nor a number.
    #[error("must be a decimal text such as \"10.00\", or a number")]
    WrongType,
    /// A string that is not plain decimal text.
    #[error("must be a decimal text such as \"10.00\"")]
    NotDecimal,
    /// More digits before the point than are kept.
    #[error("is too large")]
    TooLarge,
    /// More digits after the point than the currency has, zeros included.
    #[error("has {decimals} decimals, this currency has {allowed}")]
    TooManyDecimals {
        /// What was sent.
        decimals: i64,
        /// What the currency has.
        allowed: u8,
    },
    /// Zero or less.
    #[error("must be more than zero")]
    NotPositive,
}

/// An amount in minor units of a currency that stands beside it. Below zero in credits and ledger entries only.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Minor(pub i64);

impl Minor {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads an amount in major units as the monolith does: a string is plain decimal text, a number may have an exponent.
    ///
    /// # Errors
    /// [`BadAmount`] says what is wrong, in the monolith's words.
    pub fn parse(raw: RawAmount<'_>, currency: Currency) -> Result<Self, BadAmount> {
        let decimal = match raw {
            RawAmount::Text(text) => Decimal::from_text(text)?,
            RawAmount::Number(text) => Decimal::from_number(text)?,
            RawAmount::Other => return Err(BadAmount::WrongType),
        };
        decimal.into_minor(currency.exponent)
    }

    /// In major units with exactly the currency's decimals: `10.00` USD, `500` JPY, `1.250` KWD.
    pub fn format(self, currency: Currency) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let width = usize::from(currency.exponent);
        if width == 0 {
            return format!("{sign}{magnitude}");
        }
        let scale = 10_u64.pow(currency.exponent.into());
        format!("{sign}{}.{:0width$}", magnitude / scale, magnitude % scale)
    }
}

/// A decimal number, exactly: `digits` times ten to the `exponent`.
struct Decimal {
    negative: bool,
    /// Without leading zeros; empty for zero.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// `[0-9]{1,11}(\.[0-9]{1,20})?`
    fn from_text(text: &str) -> Result<Self, BadAmount> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let is_digits =
            |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole, MAX_INTEGER_DIGITS)
            || !fraction.is_none_or(|part| is_digits(part, MAX_TEXT_DECIMALS))
        {
            return Err(BadAmount::NotDecimal);
        }
        Ok(Self::new(false, whole, fraction.unwrap_or_default(), 0))
    }

    /// A number of JSON. What is too large is refused before any arithmetic: `1e999999999` is short to write and long to compute with.
    fn from_number(text: &str) -> Result<Self, BadAmount> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let magnitude = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || !is_digits(magnitude) {
            return Err(BadAmount::WrongType);
        }
        // More digits than an i64 holds: far beyond what is accepted either way.
        let magnitude = magnitude.parse().unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        let exponent = if exponent.starts_with('-') {
            -magnitude
        } else {
            magnitude
        };
        let decimal = Self::new(negative, whole, fraction, exponent);
        // The place of the first digit; zero counts as one digit, wherever its exponent puts it.
        let first = decimal
            .exponent
            .saturating_add(length(&decimal.digits).max(1) - 1);
        if first >= length_limit() {
            return Err(BadAmount::TooLarge);
        }
        Ok(decimal)
    }

    fn new(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Self {
        let digits = format!("{whole}{fraction}");
        Self {
            negative,
            digits: digits.trim_start_matches('0').to_owned(),
            exponent: exponent - length(fraction),
        }
    }

    fn into_minor(self, allowed: u8) -> Result<Minor, BadAmount> {
        let decimals = -self.exponent;
        if decimals > i64::from(allowed) {
            return Err(BadAmount::TooManyDecimals { decimals, allowed });
        }
        if self.negative || self.digits.is_empty() {
            return Err(BadAmount::NotPositive);
        }
        // Fewer than 11 + 4 digits by the checks above, so neither fails.
        let digits: i64 = self.digits.parse().map_err(|_| BadAmount::TooLarge)?;
        u32::try_from(i64::from(allowed) - decimals)
            .ok()
            .and_then(|places| 10_i64.checked_pow(places))
            .and_then(|scale| digits.checked_mul(scale))
            .map(Minor)
            .ok_or(BadAmount::TooLarge)
    }
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX / 2)
}

fn length_limit() -> i64 {
    i64::try_from(MAX_INTEGER_DIGITS).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use iso_currency::IntoEnumIterator;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::golden;

    fn currency(exponent: u8) -> Currency {
        Currency::new(CurrencyCode::new("USD").unwrap(), exponent).unwrap()
    }

    /// Every currency of ISO 4217 that has minor units or is known to have none.
    fn iso_4217() -> Vec<Currency> {
        iso_currency::Currency::iter()
            .filter_map(|iso| {
                let exponent = u8::try_from(iso.exponent()?).ok()?;
                Some(Currency::new(CurrencyCode::new(iso.code())?, exponent).expect("at most four decimals"))
            })
            .collect()
    }

    #[test]
    fn amounts_are_read_and_refused_as_by_the_monolith() {
        for vector in golden::vectors("amounts") {
            let raw = match vector["text"].as_str() {
                Some(text) => RawAmount::Text(text),
                None => RawAmount::Number(golden::text(&vector, "number")),
            };
            let read = Minor::parse(raw, currency(golden::small(&vector, "decimals")));
            match vector["minor"].as_i64() {
                Some(minor) => assert_eq!(read, Ok(Minor(minor)), "{vector}"),
                None => assert_eq!(
                    read.map_err(|bad| bad.to_string()),
                    Err(golden::text(&vector, "error").to_owned()),
                    "{vector}"
                ),
            }
        }
        assert_eq!(
            Minor::parse(RawAmount::Other, currency(2)),
            Err(BadAmount::WrongType)
        );
    }

    #[test]
    fn amounts_are_shown_as_by_the_monolith() {
        for vector in golden::vectors("formats") {
            let shown =
                Minor(golden::integer(&vector, "minor")).format(currency(golden::small(&vector, "decimals")));
            assert_eq!(shown, golden::text(&vector, "text"), "{vector}");
        }
    }

    #[test]
    fn every_exponent_of_iso_4217_is_known() {
        let mut exponents: Vec<u8> = iso_4217().into_iter().map(Currency::exponent).collect();
        exponents.sort_unstable();
        exponents.dedup();
        assert_eq!(exponents, [0, 2, 3, 4]);
        assert!(iso_4217().len() > 150);
        assert_eq!(
            Currency::new(CurrencyCode::new("USD").unwrap(), MAX_EXPONENT + 1),
            None
        );
    }

    #[test]
    fn a_code_is_three_capital_letters() {
        assert_eq!(CurrencyCode::new("USD").unwrap().as_str(), "USD");
        for text in ["", "US", "USDX", "usd", "U5D", "ÄB", "U D"] {
            assert_eq!(CurrencyCode::new(text), None, "{text}");
        }
    }

    #[test]
    fn huge_exponents_are_refused_and_not_computed() {
        for (number, expected) in [
            ("1e99999999999999999999999", BadAmount::TooLarge),
            ("-1e99999999999999999999999", BadAmount::TooLarge),
            (
                "1e-9223372036854775808",
                BadAmount::TooManyDecimals {
                    decimals: i64::MAX / 2,
                    allowed: 2,
                },
            ),
        ] {
            assert_eq!(
                Minor::parse(RawAmount::Number(number), currency(2)),
                Err(expected),
                "{number}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(
            currency in proptest::sample::select(iso_4217()), minor in 1..=99_999_999_999_i64,
        ) {
            let shown = Minor(minor).format(currency);
            prop_assert_eq!(Minor::parse(RawAmount::Text(&shown), currency), Ok(Minor(minor)));
            prop_assert_eq!(Minor::parse(RawAmount::Number(&shown), currency), Ok(Minor(minor)));
            let decimals = shown.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            prop_assert_eq!(decimals, usize::from(currency.exponent()));
        }

        #[test]
        fn one_decimal_too_many_is_refused(
            currency in proptest::sample::select(iso_4217()), minor in 1..=9_999_999_999_i64,
        ) {
            let point = if currency.exponent() == 0 { "." } else { "" };
            let shown = format!("{}{point}0", Minor(minor).format(currency));
            let decimals = i64::from(currency.exponent()) + 1;
            let expected = Err(BadAmount::TooManyDecimals { decimals, allowed: currency.exponent() });
            prop_assert_eq!(Minor::parse(RawAmount::Text(&shown), currency), expected);
            prop_assert_eq!(Minor::parse(RawAmount::Number(&shown), currency), expected);
        }

        #[test]
        fn sums_of_decimal_text_are_exact(
            currency in proptest::sample::select(iso_4217()), one in 1..=9_999_999_999_i64, two in 1..=9_999_999_999_i64,
        ) {
            let read = |minor| Minor::parse(RawAmount::Number(&Minor(minor).format(currency)), currency).unwrap();
            prop_assert_eq!(read(one).0 + read(two).0, read(one + two).0);
        }

        #[test]
        fn an_exponent_moves_the_point(
            currency in proptest::sample::select(iso_4217()), digits in 1..=99_999_i64, places in 0..=5_u32,
        ) {
            let number = format!("{digits}e{places}");
            let expected = Minor(digits * 10_i64.pow(places) * 10_i64.pow(currency.exponent().into()));
            prop_assert_eq!(Minor::parse(RawAmount::Number(&number), currency), Ok(expected));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", exponent in 0..=MAX_EXPONENT) {
            for raw in [RawAmount::Text(&text), RawAmount::Number(&text)] {
                if let Ok(minor) = Minor::parse(raw, currency(exponent)) {
                    prop_assert!(minor > Minor::ZERO);
                }
            }
        }
    }
}
