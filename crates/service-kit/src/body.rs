//! JSON request bodies read field by field, so that one answer names every field at fault.
//!
//! `Json<T>` stops at the first field that does not fit; a form with three mistakes deserves to hear of three. The rules and
//! texts are the monolith's.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde_json::value::RawValue;

use crate::extract::JsonBytes;
use crate::problem::{INVALID, Problem};

/// A JSON object whose fields are taken one by one; [`Body::done`] reports all that were wrong.
#[derive(Debug, Default)]
pub struct Body {
    fields: BTreeMap<String, Box<RawValue>>,
    errors: Vec<(String, String)>,
}

/// What a text may be.
#[derive(Debug, Clone, Copy)]
pub struct TextRule {
    /// The fewest characters, spaces around it not counted.
    pub min: usize,
    /// The most.
    pub max: usize,
}

impl Body {
    /// Reads an object.
    ///
    /// # Errors
    /// 400 for what is not JSON, or not an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let raw: &RawValue =
            serde_json::from_slice(bytes).map_err(|_| Problem::bad_request("The body is not valid JSON."))?;
        let fields = serde_json::from_str(raw.get())
            .map_err(|_| Problem::bad_request("The body must be a JSON object."))?;
        Ok(Self {
            fields,
            errors: Vec::new(),
        })
    }

    /// The field as it was sent; `None` when it is absent or null.
    pub fn raw(&self, name: &str) -> Option<&RawValue> {
        let value: &RawValue = self.fields.get(name)?;
        (value.get() != "null").then_some(value)
    }

    /// Notes that a field is wrong.
    pub fn fail(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push((field.to_owned(), message.into()));
    }

    /// Whether anything was wrong with this field so far.
    pub fn failed(&self, field: &str) -> bool {
        self.errors.iter().any(|(name, _)| name == field)
    }

    /// A text without the spaces around it; absent is an error unless there is a default. `None`: it was wrong.
    pub fn text(&mut self, name: &str, rule: TextRule, default: Option<&str>) -> Option<String> {
        let Some(raw) = self.raw(name) else {
            if default.is_none() {
                self.fail(name, "is required");
            }
            return default.map(str::to_owned);
        };
        if !raw.get().starts_with('"') {
            self.fail(name, "must be a text");
            return None;
        }
        // A lone surrogate is no text that UTF-8 can hold.
        let text = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| "\0".to_owned());
        let text = text.trim();
        let length = text.chars().count();
        let wrong = if text.chars().any(is_unstorable) {
            "contains characters that cannot be stored".to_owned()
        } else if length == 0 && rule.min > 0 {
            "must not be empty".to_owned()
        } else if length < rule.min {
            format!("must have at least {} characters", rule.min)
        } else if length > rule.max {
            format!("must have at most {} characters", rule.max)
        } else {
            return Some(text.to_owned());
        };
        self.fail(name, wrong);
        None
    }

    /// One of a few texts; `None` when it is absent, or wrong.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let raw = self.raw(name)?;
        let text = serde_json::from_str::<String>(raw.get()).ok();
        let chosen = choices
            .iter()
            .find(|(choice, _)| Some(*choice) == text.as_deref())
            .map(|(_, value)| *value);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            self.fail(name, format!("must be one of {}", names.join(", ")));
        }
        chosen
    }

    /// True or false.
    pub fn boolean(&mut self, name: &str, default: bool) -> bool {
        match self.raw(name).map(RawValue::get) {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(_) => {
                self.fail(name, "must be true or false");
                default
            }
        }
    }

    /// A whole number; `None` when it is absent, or wrong.
    pub fn integer(&mut self, name: &str) -> Option<i64> {
        let number = serde_json::from_str(self.raw(name)?.get());
        if number.is_err() {
            self.fail(name, "must be a whole number");
        }
        number.ok()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 with every field that was wrong.
    pub fn done(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let problem = Problem::new(&INVALID);
        Err(self
            .errors
            .into_iter()
            .fold(problem, |problem, (field, message)| problem.field(field, message)))
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
        Self::parse(&bytes)
    }
}

/// A body that may be left out: none is an empty object, whatever `Content-Type` says.
#[derive(Debug)]
pub struct OptionalBody(pub Body);

impl<S: Send + Sync> FromRequest<S> for OptionalBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(|rejection| crate::extract::body_problem(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self(Body::default()));
        }
        Body::from_request(Request::from_parts(parts, bytes.into()), state)
            .await
            .map(Self)
    }
}

/// PostgreSQL's text cannot hold NUL; other control characters and line breaks have no place in names and descriptions.
fn is_unstorable(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: TextRule = TextRule { min: 1, max: 5 };

    fn body(json: &str) -> Body {
        Body::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_no_object_is_400() {
        for text in ["", "{", "[1]", "1", "null", "{\"a\":NaN}", "{} x"] {
            let problem = Body::parse(text.as_bytes()).unwrap_err();
            assert_eq!(problem.status(), 400, "{text}");
        }
    }

    #[test]
    fn texts_are_judged_by_their_characters() {
        for (json, expected) in [
            (r#""  Äpfel ""#, Ok("Äpfel")),
            (r#""""#, Err("must not be empty")),
            (r#"" ""#, Err("must not be empty")),
            (r#""123456""#, Err("must have at most 5 characters")),
            ("1", Err("must be a text")),
            ("null", Err("is required")),
            (r#""a\u0000""#, Err("contains characters that cannot be stored")),
            (r#""\ud800""#, Err("contains characters that cannot be stored")),
        ] {
            let mut body = body(&format!("{{\"name\":{json}}}"));
            let text = body.text("name", NAME, None);
            match expected {
                Ok(expected) => assert_eq!(text.as_deref(), Some(expected), "{json}"),
                Err(message) => {
                    assert_eq!(body.errors, [("name".to_owned(), message.to_owned())], "{json}");
                }
            }
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let mut body = body(r#"{"a": 1.5, "b": "x", "c": "blue", "d": 9223372036854775808}"#);
        assert_eq!(body.integer("a"), None);
        assert!(body.boolean("b", true));
        assert_eq!(body.choice("c", &[("red", 1), ("green", 2)]), None);
        assert_eq!(body.integer("d"), None);
        assert_eq!(body.integer("absent"), None);
        let text = format!("{:?}", body.errors);
        assert!(text.contains("must be one of red, green"), "{text}");
        let fields: Vec<&str> = body.errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["a", "b", "c", "d"]);
        assert_eq!(body.done().unwrap_err().status(), 422);
    }

    #[tokio::test]
    async fn a_body_may_be_left_out_but_not_be_anything() {
        let read = async |kind: &str, text: &str| {
            let request = Request::builder().header("content-type", kind);
            let request = request.body(text.to_owned().into()).unwrap();
            let body = OptionalBody::from_request(request, &()).await;
            body.map(|OptionalBody(body)| body.fields.len())
                .map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(read("text/plain", "").await, Ok(0));
        assert_eq!(read("application/json", r#"{"amount": "1"}"#).await, Ok(1));
        assert_eq!(read("text/plain", "{}").await, Err(415));
        assert_eq!(read("application/json", "{").await, Err(400));
    }

    #[test]
    fn a_number_stays_the_text_it_was_sent_as() {
        let body = body(r#"{"amount": 0.30000000000000004, "other": null}"#);
        assert_eq!(body.raw("amount").unwrap().get(), "0.30000000000000004");
        assert!(body.raw("other").is_none());
    }
}
