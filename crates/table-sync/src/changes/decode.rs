//! The messages of `pgoutput` that say which rows changed, and no more of them than that.
//!
//! <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>

use crate::error::Error;

/// A message.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Message<'a> {
    /// What a table is called and has; comes before its first change, and again after it was altered.
    Relation(Relation<'a>),
    /// A row, or two where its key changed.
    Change {
        relation: u32,
        old: Option<Tuple<'a>>,
        new: Option<Tuple<'a>>,
    },
    /// All rows of these tables are gone.
    Truncate(Vec<u32>),
    /// Who wrote the transaction, where it was not a client.
    Origin(&'a str),
    /// Types, and what later versions may add.
    Other,
}

#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Relation<'a> {
    pub(crate) id: u32,
    pub(crate) schema: &'a str,
    pub(crate) name: &'a str,
    pub(crate) columns: Vec<&'a str>,
}

/// A row's values as text; `None` for NULL, for what is not sent, and for what is too large and unchanged.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Tuple<'a>(pub(crate) Vec<Option<&'a str>>);

pub(crate) fn decode(bytes: &[u8]) -> Result<Message<'_>, Error> {
    let mut rest = Rest(bytes);
    Ok(match rest.byte()? {
        b'R' => Message::Relation(rest.relation()?),
        b'I' => {
            let relation = rest.int32()?;
            rest.byte()?;
            let new = Some(rest.tuple()?);
            Message::Change {
                relation,
                old: None,
                new,
            }
        }
        b'U' => {
            let relation = rest.int32()?;
            let old = match rest.byte()? {
                b'K' | b'O' => {
                    let old = rest.tuple()?;
                    rest.byte()?;
                    Some(old)
                }
                _ => None,
            };
            let new = Some(rest.tuple()?);
            Message::Change { relation, old, new }
        }
        b'D' => {
            let relation = rest.int32()?;
            rest.byte()?;
            let old = Some(rest.tuple()?);
            Message::Change {
                relation,
                old,
                new: None,
            }
        }
        b'T' => {
            let count = rest.int32()?;
            rest.byte()?;
            Message::Truncate((0..count).map(|_| rest.int32()).collect::<Result<_, _>>()?)
        }
        b'O' => {
            rest.take(8)?;
            Message::Origin(rest.text()?)
        }
        _ => Message::Other,
    })
}

/// What is left of a message.
struct Rest<'a>(&'a [u8]);

const SHORT: Error = Error::Malformed("it is too short");
const NO_TEXT: Error = Error::Malformed("it has a text that is not UTF-8");

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn int16(&mut self) -> Result<u16, Error> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn int32(&mut self) -> Result<u32, Error> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(SHORT)?;
        let text = self.take(end)?;
        self.byte()?;
        std::str::from_utf8(text).map_err(|_| NO_TEXT)
    }

    fn relation(&mut self) -> Result<Relation<'a>, Error> {
        let (id, schema, name) = (self.int32()?, self.text()?, self.text()?);
        self.byte()?;
        let columns = (0..self.int16()?)
            .map(|_| {
                self.byte()?;
                let column = self.text()?;
                self.take(8)?;
                Ok(column)
            })
            .collect::<Result<_, Error>>()?;
        Ok(Relation {
            id,
            schema,
            name,
            columns,
        })
    }

    fn tuple(&mut self) -> Result<Tuple<'a>, Error> {
        let values = (0..self.int16()?).map(|_| match self.byte()? {
            b'n' | b'u' => Ok(None),
            b't' => {
                let length = usize::try_from(self.int32()?).map_err(|_| SHORT)?;
                let text = self.take(length)?;
                std::str::from_utf8(text).map(Some).map_err(|_| NO_TEXT)
            }
            _ => Err(Error::Malformed("it has a value of an unknown kind")),
        });
        values.collect::<Result<_, _>>().map(Tuple)
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, Relation, Tuple, decode};

    /// Builds messages as the documentation has them.
    fn message(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    const ROW: &[u8] = &[0, 3, b't', 0, 0, 0, 2, b'4', b'2', b'n', b'u'];

    fn row() -> Tuple<'static> {
        Tuple(vec![Some("42"), None, None])
    }

    #[test]
    fn changes_are_read() {
        let id: &[u8] = &[0, 0, 0, 7];
        for (bytes, old, new) in [
            (message(&[b"I", id, b"N", ROW]), None, Some(row())),
            (message(&[b"U", id, b"N", ROW]), None, Some(row())),
            (
                message(&[b"U", id, b"K", ROW, b"N", ROW]),
                Some(row()),
                Some(row()),
            ),
            (
                message(&[b"U", id, b"O", ROW, b"N", ROW]),
                Some(row()),
                Some(row()),
            ),
            (message(&[b"D", id, b"K", ROW]), Some(row()), None),
        ] {
            let read = decode(&bytes).expect("a message");
            assert_eq!(
                read,
                Message::Change {
                    relation: 7,
                    old,
                    new
                }
            );
        }
    }

    #[test]
    fn other_messages_are_read() {
        let column: &[u8] = &[1, b'i', b'd', 0, 0, 0, 0, 20, 255, 255, 255, 255];
        let relation = message(&[
            b"R",
            &[0, 0, 0, 7],
            b"public\0",
            b"payment\0",
            b"d",
            &[0, 1],
            column,
        ]);
        assert_eq!(
            decode(&relation).expect("a message"),
            Message::Relation(Relation {
                id: 7,
                schema: "public",
                name: "payment",
                columns: vec!["id"],
            })
        );
        let truncate = message(&[b"T", &[0, 0, 0, 2], &[0], &[0, 0, 0, 7], &[0, 0, 0, 8]]);
        assert_eq!(
            decode(&truncate).expect("a message"),
            Message::Truncate(vec![7, 8])
        );
        let origin = message(&[b"O", &[0; 8], b"table_sync_payments\0"]);
        assert_eq!(
            decode(&origin).expect("a message"),
            Message::Origin("table_sync_payments")
        );
        assert_eq!(decode(b"Y rest").expect("a message"), Message::Other);
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let whole = message(&[b"U", &[0, 0, 0, 7], b"K", ROW, b"N", ROW]);
        for length in 0..whole.len() {
            decode(&whole[..length]).expect_err("too short");
        }
    }
}
