//! An answer, held to what was expected and to the document.

use std::fmt::Debug;

use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::call::{Call, Expected};
use super::difference::ensure;
use super::{Api, Difference};
use crate::document::Documented;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
/// How much of a body a difference shows.
const SHOWN: usize = 600;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method and path, for differences.
    what: String,
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    /// The body where it is JSON; null otherwise.
    pub(crate) json: Value,
}

impl Answer {
    pub(super) fn new(what: String, status: u16, headers: HeaderMap, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Self {
            what,
            status,
            headers,
            body,
            json,
        }
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value at a JSON pointer; null where there is none.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.json.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The id at a JSON pointer.
    pub(crate) fn id(&self, pointer: &str) -> Result<i64, Difference> {
        let id = self.at(pointer).as_i64();
        id.ok_or_else(|| self.difference(&format!("no id at {pointer}")))
    }

    /// The list at a JSON pointer.
    pub(crate) fn list(&self, pointer: &str) -> Result<&Vec<Value>, Difference> {
        let list = self.at(pointer).as_array();
        list.ok_or_else(|| self.difference(&format!("no list at {pointer}")))
    }

    /// The items of a page.
    pub(crate) fn items(&self) -> Result<&Vec<Value>, Difference> {
        self.list("/items")
    }

    /// The ids of a page's items.
    pub(crate) fn ids(&self) -> Result<Vec<i64>, Difference> {
        Ok(self
            .items()?
            .iter()
            .filter_map(|item| item["id"].as_i64())
            .collect())
    }

    /// The value at a pointer must be this.
    pub(crate) fn has(&self, pointer: &str, expected: impl Into<Value>) -> Result<(), Difference> {
        let expected = expected.into();
        self.same(pointer, self.at(pointer), &expected)
    }

    /// Two values that belong to this answer must be the same.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "values made for the comparison read better at the caller"
    )]
    pub(crate) fn same<T: PartialEq + Debug>(
        &self,
        what: &str,
        found: T,
        expected: T,
    ) -> Result<(), Difference> {
        ensure(found == expected, || {
            self.words(&format!("{what} is {found:?}, expected {expected:?}"))
        })
    }

    /// Something must hold of this answer.
    pub(crate) fn ensure(&self, holds: bool, words: &str) -> Result<(), Difference> {
        ensure(holds, || self.words(words))
    }

    /// A difference about this answer.
    pub(crate) fn difference(&self, words: &str) -> Difference {
        Difference::new(self.words(words))
    }

    fn words(&self, words: &str) -> String {
        let mut body: String = self.text().chars().take(SHOWN).collect();
        if body.is_empty() {
            body.push_str("(no body)");
        }
        format!("{}: {words}\n    {} {body}", self.what, self.status)
    }

    /// Holds the answer to everything that is known of it.
    pub(super) fn check(&self, call: &Call) -> Result<(), Difference> {
        self.check_expected(&call.expected)?;
        self.check_headers(&call.api)?;
        self.check_problem(&call.expected)?;
        let path = call.path.split('?').next().unwrap_or_default();
        self.check_documented(&call.api, call.method.as_str(), path)
    }

    fn check_expected(&self, expected: &Expected) -> Result<(), Difference> {
        let statuses = &expected.statuses;
        if statuses.is_empty() || statuses.contains(&self.status) {
            return Ok(());
        }
        let texts: Vec<String> = statuses.iter().map(ToString::to_string).collect();
        let words = format!("status {}, expected {}", self.status, texts.join(" or "));
        Err(self.difference(&words))
    }

    /// What holds of every answer.
    fn check_headers(&self, api: &Api) -> Result<(), Difference> {
        self.same(
            "Cache-Control",
            self.header(CACHE_CONTROL.as_str()),
            Some("no-store"),
        )?;
        let backend = self.header("x-migration-backend");
        if api.shared.inputs.gateway {
            let known = matches!(backend, Some("legacy" | "new"));
            self.ensure(
                known,
                &format!("X-Migration-Backend is {backend:?}, expected legacy or new"),
            )?;
        }
        if self.status == 405 {
            self.ensure(self.header("allow").is_some(), "405 without Allow")?;
        }
        Ok(())
    }

    fn check_problem(&self, expected: &Expected) -> Result<(), Difference> {
        if self.status >= 400 && self.media_type() == PROBLEM {
            self.has("/status", self.status)?;
        }
        if let Some(slug) = &expected.slug {
            self.has("/type", format!("urn:banyan:problem:{slug}"))?;
        }
        if let Some(fields) = &expected.fields {
            let mut found: Vec<String> = self
                .list("/errors")?
                .iter()
                .filter_map(|error| Some(error["field"].as_str()?.to_owned()))
                .collect();
            found.sort();
            self.same("the fields of errors", &found, fields)?;
        }
        Ok(())
    }

    fn media_type(&self) -> String {
        let value = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_lowercase()
    }

    fn check_documented(&self, api: &Api, method: &str, path: &str) -> Result<(), Difference> {
        let document = &api.shared.document;
        let Some(operation) = document.find(method, path) else {
            // Not an operation: a problem, whatever it is.
            self.same("Content-Type", self.media_type().as_str(), PROBLEM)?;
            let schema = document.validator("/components/schemas/Problem");
            let schema = schema.map_err(|error| self.difference(&error.to_string()))?;
            return self.check_schema(&schema);
        };
        let documented = document.answer(operation, self.status);
        let documented = documented.map_err(|error| self.difference(&error.to_string()))?;
        if let Some(documented) = documented {
            return self.check_answer(&documented);
        }
        let statuses = document.statuses(operation).join(", ");
        let words = format!(
            "status {} is not documented; documented are {statuses}",
            self.status
        );
        Err(self.difference(&words))
    }

    fn check_answer(&self, documented: &Documented) -> Result<(), Difference> {
        for name in &documented.headers {
            self.ensure(
                self.header(name).is_some(),
                &format!("the header {name} is missing"),
            )?;
        }
        if documented.content.is_empty() {
            return self.ensure(self.body.is_empty(), "there is a body, expected none");
        }
        let media_type = self.media_type();
        let Some((_, schema)) = documented.content.iter().find(|(name, _)| *name == media_type) else {
            let names: Vec<&str> = documented.content.iter().map(|(name, _)| name.as_str()).collect();
            let words = format!("Content-Type is {media_type:?}, expected {}", names.join(" or "));
            return Err(self.difference(&words));
        };
        if media_type == JSON || media_type == PROBLEM {
            self.check_schema(schema)?;
        }
        Ok(())
    }

    fn check_schema(&self, schema: &jsonschema::Validator) -> Result<(), Difference> {
        let differences: Vec<String> = schema
            .iter_errors(&self.json)
            .take(5)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        self.ensure(
            differences.is_empty(),
            &format!("the body is not as documented: {}", differences.join("; ")),
        )
    }
}
