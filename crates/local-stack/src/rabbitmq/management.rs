//! Vhosts, users and policies, through the management API.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::error::StackError;

/// A client of a node's management API.
#[derive(Debug, Clone)]
pub struct Management {
    base: String,
    user: String,
    password: String,
}

/// Percent-encodes everything that could end a path segment.
pub(super) fn escape(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02x}"),
        })
        .collect()
}

impl Management {
    /// `base` is scheme, host and port.
    pub fn new(base: &str, user: &str, password: &str) -> Self {
        Self {
            base: base.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// Makes a vhost and lets `user` do everything in it.
    pub async fn create_vhost(&self, name: &str, user: &str) -> Result<(), StackError> {
        self.send(
            Method::PUT,
            &format!("/api/vhosts/{}", escape(name)),
            Some(json!({})),
        )
        .await?;
        self.grant(name, user, [".*", ".*", ".*"]).await
    }

    /// Deletes a vhost; one that is not there is no error.
    pub async fn delete_vhost(&self, name: &str) -> Result<(), StackError> {
        self.send(Method::DELETE, &format!("/api/vhosts/{}", escape(name)), None)
            .await
            .map(drop)
    }

    /// Makes a user without management rights, or gives the existing one this password.
    pub async fn create_user(&self, name: &str, password: &str) -> Result<(), StackError> {
        let body = json!({ "password": password, "tags": "" });
        self.send(Method::PUT, &format!("/api/users/{}", escape(name)), Some(body))
            .await
            .map(drop)
    }

    /// Permissions of a user in a vhost, as patterns of names: configure, write, read.
    pub async fn grant(&self, vhost: &str, user: &str, patterns: [&str; 3]) -> Result<(), StackError> {
        let [configure, write, read] = patterns;
        let body = json!({ "configure": configure, "write": write, "read": read });
        let path = format!("/api/permissions/{}/{}", escape(vhost), escape(user));
        self.send(Method::PUT, &path, Some(body)).await.map(drop)
    }

    /// Any GET of the API.
    pub async fn get(&self, path: &str) -> Result<Value, StackError> {
        self.send(Method::GET, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, StackError> {
        let url = format!("{}{path}", self.base);
        let failed = |message: String| StackError::Server {
            server: format!("rabbitmq {method} {path}"),
            message,
        };
        let mut request = crate::http::client()
            .request(method.clone(), &url)
            .basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| failed(error.without_url().to_string()))?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND && method == Method::DELETE {
            return Ok(Value::Null);
        }
        let text = answer
            .text()
            .await
            .map_err(|error| failed(error.without_url().to_string()))?;
        if !status.is_success() {
            return Err(failed(format!("{status} {text}")));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn the_default_vhost_is_one_segment() {
        assert_eq!(escape("/"), "%2f");
        assert_eq!(escape("test-1_a.b"), "test-1_a.b");
    }
}
