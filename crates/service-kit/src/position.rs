//! The position of a row in a list that is ordered by time and id.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::value::RawValue;
use time::OffsetDateTime;

/// Time and id of the last row seen. Written `<microseconds since 1970>.<id>`, as the monolith writes it, so that a client whose
/// requests move from one side to the other in the middle of a list goes on where it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    micros: i64,
    id: i64,
}

impl Position {
    /// Of a row.
    pub fn new(at: OffsetDateTime, id: i64) -> Self {
        let micros = i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
        Self { micros, id }
    }

    /// Time and id; `None` for a time that no calendar has.
    pub fn get(self) -> Option<(OffsetDateTime, i64)> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.micros) * 1000).ok()?;
        Some((at, self.id))
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = format!("{}.{}", self.micros, self.id);
        RawValue::from_string(text)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let parts = raw
            .get()
            .split_once('.')
            .and_then(|(micros, id)| Some((micros.parse().ok()?, id.parse().ok()?)));
        let (micros, id) = parts
            .filter(|(_, id)| *id >= 0)
            .ok_or_else(|| D::Error::custom("not a position"))?;
        let position = Self { micros, id };
        position
            .get()
            .map(|_| position)
            .ok_or_else(|| D::Error::custom("not a time"))
    }
}

#[cfg(test)]
mod tests {
    use crate::page::{decode, encode};
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use time::macros::datetime;

    use super::*;

    #[test]
    fn is_read_back_and_is_the_monolith_s() {
        let at = datetime!(2026-01-02 03:04:05.123456 UTC);
        let position = Position::new(at, (1 << 40) + 1);
        let cursor = encode(&position);
        assert_eq!(decode::<Position>(&cursor), Some(position));
        assert_eq!(position.get(), Some((at, (1 << 40) + 1)));
        assert_eq!(cursor, URL_SAFE_NO_PAD.encode("1767323045123456.1099511627777"));
    }

    #[test]
    fn garbage_is_not() {
        for garbage in ["", "1", "1.-5", "9223372036854775807.1", "1.2.3", "[1,2]"] {
            assert_eq!(
                decode::<Position>(&URL_SAFE_NO_PAD.encode(garbage)),
                None,
                "{garbage}"
            );
        }
    }
}
