//! Requests to the system under check, and answers that are held to the document.

mod answer;
mod call;
mod difference;

use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

pub use answer::Answer;
pub use call::Call;
pub use difference::Difference;
pub(crate) use difference::same;
use reqwest::{Client, Method};
use tokio::sync::OnceCell;

use crate::document::Document;
use crate::inputs::Inputs;

static PROVIDER: Once = Once::new();

/// How a check reaches the system. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    pub(crate) shared: Arc<Shared>,
    /// What the client's address is said to be. A server that stands behind no gateway believes it, so that wrong passwords
    /// of one check do not count for the others.
    pub(crate) address: String,
}

/// What all checks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) document: Document,
    pub(crate) inputs: Inputs,
    pub(crate) started: SystemTime,
    pub(crate) staff: OnceCell<String>,
}

impl Api {
    /// The system that the inputs name.
    pub fn new(document: Document, inputs: Inputs) -> Result<Self, reqwest::Error> {
        // reqwest panics without a crypto provider, even for plain HTTP; a second install is refused, which is fine.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_mins(1))
            .user_agent("contract-suite")
            .build()?;
        let shared = Arc::new(Shared {
            client,
            document,
            inputs,
            started: SystemTime::now(),
            staff: OnceCell::new(),
        });
        Ok(Self::of(shared))
    }

    /// The same for another check.
    #[must_use]
    pub fn for_another_check(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    fn of(shared: Arc<Shared>) -> Self {
        let [.., a, b, c] = *uuid::Uuid::new_v4().as_bytes();
        Self {
            shared,
            address: format!("10.{a}.{b}.{c}"),
        }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.clone(), method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }
}
