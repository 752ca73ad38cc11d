//! Users that checks make for themselves.

use secrecy::ExposeSecret as _;
use serde_json::json;
use uuid::Uuid;

use crate::api::{Answer, Api, Difference};

pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

impl Person {
    /// The person that a sign-up or a login answered with.
    pub(crate) fn of(answer: &Answer) -> Result<Self, Difference> {
        let text = |pointer: &str| answer.at(pointer).as_str().unwrap_or_default().to_owned();
        Ok(Self {
            id: answer.id("/user/id")?,
            email: text("/user/email"),
            token: text("/accessToken"),
            refresh_token: text("/refreshToken"),
        })
    }
}

/// An address that nobody has.
pub(crate) fn new_email() -> String {
    format!("contract-{}@example.com", Uuid::new_v4().simple())
}

/// A text that was not used before.
pub(crate) fn new_key() -> String {
    Uuid::new_v4().to_string()
}

impl Api {
    /// Signs somebody up.
    pub(crate) async fn person(&self) -> Result<Person, Difference> {
        let body = json!({"email": new_email(), "password": PASSWORD, "displayName": "Contract Check"});
        Person::of(&self.post("/api/users/signup").json(&body).expect(201).await?)
    }

    /// Logs somebody in.
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Result<Person, Difference> {
        let body = json!({"email": email, "password": password});
        Person::of(&self.post("/api/users/login").json(&body).expect(200).await?)
    }

    /// The access token of a member of staff.
    pub(crate) async fn staff(&self) -> Result<String, Difference> {
        let inputs = &self.shared.inputs;
        let login = || async {
            let (Some(email), Some(password)) = (&inputs.staff_email, &inputs.staff_password) else {
                return Err(Difference::new("nobody's credentials were given"));
            };
            Ok(self.log_in(email, password.expose_secret()).await?.token)
        };
        self.shared.staff.get_or_try_init(login).await.cloned()
    }
}
