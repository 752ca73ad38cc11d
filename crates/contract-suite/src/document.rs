//! The OpenAPI document: what may be answered to which request.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value};

/// The document as it is committed.
pub const TEXT: &str = include_str!("../openapi.yaml");

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// A method and a path with its parameters in braces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// Upper case.
    pub method: String,
    /// Such as `/api/payments/{id}`.
    pub path: String,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

/// What the document says of one answer.
#[derive(Debug, Clone, Default)]
pub struct Documented {
    /// Schemas by media type; none where there is no body.
    pub content: Vec<(String, Arc<Validator>)>,
    /// Headers that must be there, with the pattern of their value, if any.
    pub headers: Vec<String>,
}

/// The parsed document.
#[derive(Debug)]
pub struct Document {
    root: Value,
    operations: Vec<Operation>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The document is not one.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not YAML.
    #[error("openapi.yaml: {0}")]
    Yaml(String),
    /// Something is missing in it.
    #[error("openapi.yaml: nothing at {0}")]
    Missing(String),
    /// A schema is not one.
    #[error("openapi.yaml: the schema at {at}: {message}")]
    Schema {
        /// JSON pointer.
        at: String,
        /// What is wrong.
        message: String,
    },
}

impl Document {
    /// The committed document.
    pub fn load() -> Result<Self, DocumentError> {
        Self::parse(TEXT)
    }

    /// A document from its text.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let root: Value =
            serde_saphyr::from_str(text).map_err(|error| DocumentError::Yaml(error.to_string()))?;
        let paths = root.get("paths").and_then(Value::as_object);
        let paths = paths.ok_or_else(|| DocumentError::Missing("/paths".to_owned()))?;
        let operations = paths
            .iter()
            .flat_map(|(path, item)| {
                METHODS
                    .iter()
                    .filter(|method| item.get(**method).is_some())
                    .map(|method| Operation {
                        method: method.to_uppercase(),
                        path: path.clone(),
                    })
            })
            .collect();
        Ok(Self {
            root,
            operations,
            validators: Mutex::default(),
        })
    }

    /// Every operation, in the document's order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The part of the document that describes an operation.
    pub fn describe(&self, operation: &Operation) -> &Value {
        &self.root["paths"][&operation.path][operation.method.to_lowercase()]
    }

    /// Whether an operation takes a bearer token.
    pub fn is_secured(&self, operation: &Operation) -> bool {
        let security = self
            .describe(operation)
            .get("security")
            .unwrap_or(&self.root["security"]);
        security.as_array().is_some_and(|schemes| !schemes.is_empty())
    }

    /// The query and header parameters of an operation, by name.
    pub fn has_parameter(&self, operation: &Operation, name: &str) -> bool {
        let parameters = self.describe(operation)["parameters"]
            .as_array()
            .into_iter()
            .flatten();
        parameters
            .filter_map(|one| self.resolve(one).1.get("name"))
            .any(|found| found == name)
    }

    /// The operation that serves a request. A path without parameters wins over one with.
    pub fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        let fits = |template: &str| {
            let (wanted, found) = (template.split('/'), path.split('/'));
            wanted.clone().count() == found.clone().count()
                && wanted
                    .zip(found)
                    .all(|(wanted, found)| wanted.starts_with('{') || wanted == found)
        };
        let templates = || self.operations.iter().map(|operation| operation.path.as_str());
        let template = templates()
            .find(|template| *template == path)
            .or_else(|| templates().find(|template| fits(template)))?;
        self.operations
            .iter()
            .find(|operation| operation.path == template && operation.method == method)
    }

    /// The statuses documented for an operation.
    pub fn statuses(&self, operation: &Operation) -> Vec<String> {
        let responses = self.describe(operation)["responses"].as_object();
        responses.into_iter().flat_map(Map::keys).cloned().collect()
    }

    /// What is documented for an answer; none where its status is not.
    pub fn answer(&self, operation: &Operation, status: u16) -> Result<Option<Documented>, DocumentError> {
        let at = format!(
            "/paths/{}/{}/responses/{status}",
            escape(&operation.path),
            operation.method.to_lowercase()
        );
        let Some(response) = self.root.pointer(&at) else {
            return Ok(None);
        };
        let (pointer, response) = self.resolve(response);
        let at = pointer.unwrap_or(at);
        let mut documented = Documented::default();
        for media_type in response["content"].as_object().into_iter().flat_map(Map::keys) {
            let schema = format!("{at}/content/{}/schema", escape(media_type));
            documented
                .content
                .push((media_type.clone(), self.validator(&schema)?));
        }
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            if self.resolve(header).1["required"] == true {
                documented.headers.push(name.clone());
            }
        }
        Ok(Some(documented))
    }

    /// The validator of a schema of the document, such as `/components/schemas/Problem`.
    pub fn validator(&self, at: &str) -> Result<Arc<Validator>, DocumentError> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = validators.get(at) {
            return Ok(Arc::clone(known));
        }
        if self.root.pointer(at).is_none() {
            return Err(DocumentError::Missing(at.to_owned()));
        }
        // The whole document is the schema's surroundings, so that its references find what they name.
        let mut schema = self.root.clone();
        schema["$ref"] = format!("#{}", at.replace('{', "%7B").replace('}', "%7D")).into();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema);
        let validator = validator.map(Arc::new).map_err(|error| DocumentError::Schema {
            at: at.to_owned(),
            message: error.to_string(),
        })?;
        validators.insert(at.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }

    /// Follows a reference, if it is one; says where it led.
    fn resolve<'a>(&'a self, value: &'a Value) -> (Option<String>, &'a Value) {
        let pointer = value
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| target.strip_prefix('#'));
        match pointer.and_then(|pointer| Some((pointer, self.root.pointer(pointer)?))) {
            Some((pointer, target)) => (Some(pointer.to_owned()), target),
            None => (None, value),
        }
    }
}

/// A name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(method: &str, path: &str) -> Operation {
        Operation {
            method: method.to_owned(),
            path: path.to_owned(),
        }
    }

    #[test]
    fn there_are_34_operations_and_every_answer_has_a_schema_that_compiles() {
        let document = Document::load().unwrap();
        assert_eq!(document.operations().len(), 34);
        for operation in document.operations() {
            for status in document.statuses(operation) {
                let answer = document
                    .answer(operation, status.parse().unwrap())
                    .unwrap()
                    .unwrap();
                assert_eq!(answer.content.is_empty(), status == "204", "{operation} {status}");
            }
        }
    }

    #[test]
    fn requests_find_their_operation() {
        let document = Document::load().unwrap();
        let find = |method, path| document.find(method, path).map(ToString::to_string);
        assert_eq!(
            find("GET", "/api/payments/7").as_deref(),
            Some("GET /api/payments/{id}")
        );
        assert_eq!(
            find("GET", "/api/payments/invoices").as_deref(),
            Some("GET /api/payments/invoices")
        );
        assert_eq!(
            find("GET", "/api/payments/").as_deref(),
            Some("GET /api/payments/")
        );
        assert_eq!(find("DELETE", "/api/payments/7"), None);
        assert_eq!(find("GET", "/api/payments/charge"), None, "charge is no id");
        assert!(document.is_secured(&operation("GET", "/api/payments/{id}")));
        assert!(!document.is_secured(&operation("POST", "/api/users/login")));
        assert!(document.has_parameter(&operation("POST", "/api/payments/charge"), "Idempotency-Key"));
    }

    #[test]
    fn a_schema_accepts_what_it_should_and_nothing_else() {
        let document = Document::load().unwrap();
        let answer = document
            .answer(&operation("GET", "/api/users/me"), 200)
            .unwrap()
            .unwrap();
        let user = json!({
            "id": 1, "email": "a@example.com", "displayName": "A", "locale": "en", "preferredChannel": "email",
            "emailVerified": false, "createdAt": "2026-01-31T12:00:00Z",
        });
        let valid = |user: &Value| answer.content[0].1.is_valid(user);
        assert!(valid(&user));
        for (field, wrong) in [
            ("id", json!("1")),
            ("createdAt", json!("2026-01-31T12:00:00+00:00")),
            ("createdAt", json!("2026-01-31Z")),
            ("preferredChannel", json!("pigeon")),
            ("passwordHash", json!("x")),
        ] {
            let mut user = user.clone();
            user[field] = wrong;
            assert!(!valid(&user), "{user}");
        }
        let unauthenticated = document
            .answer(&operation("GET", "/api/users/me"), 401)
            .unwrap()
            .unwrap();
        assert_eq!(unauthenticated.headers, ["WWW-Authenticate"]);
    }
}
