//! A localstripe, a front before it, and a client.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use banyan_dev_sinks::stripe::{Settings, StripeFront, Target};
use banyan_local_stack::ports::free_port;
use banyan_local_stack::python::test_environment;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "whsec_of_this_test";
pub(crate) const INTENTS: &str = "/v1/payment_intents";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A localstripe process; ends when dropped.
#[derive(Debug)]
pub(crate) struct Localstripe {
    pub(crate) port: u16,
    process: Child,
    dir: TempDir,
}

impl Localstripe {
    pub(crate) async fn start() -> Self {
        let port = free_port().expect("a free port");
        let dir = tempfile::tempdir().expect("a directory");
        let process = Self::spawn(port, dir.path());
        let localstripe = Self { port, process, dir };
        localstripe.ready().await;
        localstripe
    }

    fn spawn(port: u16, dir: &Path) -> Child {
        let root = root();
        let venv = test_environment(&root).expect("a Python environment");
        Command::new(venv.program("python"))
            .arg(root.join("crates/local-stack/python/serve_localstripe.py"))
            .args(["--port", &port.to_string(), "--state"])
            .arg(dir.join("state.pickle"))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("localstripe starts")
    }

    async fn ready(&self) {
        let ready = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, ready)
            .await
            .expect("localstripe listens");
    }

    pub(crate) async fn stop(&mut self) {
        self.process.kill().await.expect("it can be killed");
    }

    /// With the objects it had saved.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.process = Self::spawn(self.port, self.dir.path());
        self.ready().await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many PaymentIntents there are, asked behind the front's back.
    pub(crate) async fn intents(&self) -> usize {
        let request = Client::new().get(format!("{}{INTENTS}?limit=100", self.url()));
        let list: Value = request
            .bearer_auth("sk_test_1")
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        list["data"].as_array().expect("a list").len()
    }
}

/// The front under test with its client.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) front: StripeFront,
    pub(crate) localstripe: Localstripe,
    client: Client,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(None).await
    }

    pub(crate) async fn with(webhook: Option<Target>) -> Self {
        let localstripe = Localstripe::start().await;
        let settings = Settings {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            upstream: localstripe.url(),
            webhook,
        };
        let front = StripeFront::start(settings).await.expect("the front starts");
        // No connection is used twice, so that each request meets the front anew.
        let client = Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client");
        Self {
            front,
            localstripe,
            client,
        }
    }

    pub(crate) fn post(&self, path: &str, key: &str, body: &str) -> RequestBuilder {
        self.post_as("sk_test_1", path, key, body)
    }

    fn post_as(&self, account: &str, path: &str, key: &str, body: &str) -> RequestBuilder {
        self.client
            .post(format!("{}{path}", self.front.url()))
            .bearer_auth(account)
            .header("Idempotency-Key", key)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.to_owned())
    }

    pub(crate) async fn send(&self, path: &str, key: &str, body: &str) -> (u16, Response) {
        self.send_as("sk_test_1", path, key, body).await
    }

    pub(crate) async fn send_as(&self, account: &str, path: &str, key: &str, body: &str) -> (u16, Response) {
        let response = self
            .post_as(account, path, key, body)
            .send()
            .await
            .expect("an answer");
        (response.status().as_u16(), response)
    }

    /// POST with JSON to one of the front's own paths.
    pub(crate) async fn control(&self, path: &str, body: Value) -> u16 {
        let request = self
            .client
            .post(format!("{}/_front/{path}", self.front.url()))
            .json(&body);
        request.send().await.expect("an answer").status().as_u16()
    }

    /// GET on one of the front's own paths.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}/_front/{path}", self.front.url()));
        request
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON")
    }
}

/// A PaymentIntent of this many cents, paid at once with a card that works.
pub(crate) fn intent(cents: u32) -> String {
    format!("amount={cents}&currency=usd&confirm=true&payment_method=pm_card_visa&capture_method=automatic")
}

pub(crate) fn replayed(response: &Response) -> bool {
    response
        .headers()
        .get("idempotent-replayed")
        .is_some_and(|value| value == "true")
}

/// A webhook as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Where webhooks arrive, and the answers that are still to be given before it is always 200.
struct Hook {
    sender: mpsc::UnboundedSender<Received>,
    answers: Mutex<VecDeque<StatusCode>>,
}

async fn take(State(hook): State<Arc<Hook>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers["stripe-signature"].to_str().expect("text").to_owned();
    // A test that has seen enough has dropped the other end.
    let _ = hook.sender.send(Received { signature, body });
    hook.answers
        .lock()
        .expect("no panic")
        .pop_front()
        .unwrap_or(StatusCode::OK)
}

/// Takes webhooks; the first ones are answered so, all others with 200.
pub(crate) async fn receiver(answers: &[StatusCode]) -> (Target, mpsc::UnboundedReceiver<Received>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, received) = mpsc::unbounded_channel();
    let hook = Hook {
        sender,
        answers: Mutex::new(answers.iter().copied().collect()),
    };
    let router = Router::new()
        .route("/hook", axum::routing::post(take))
        .with_state(Arc::new(hook));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let secret = SECRET.to_owned();
    (Target { url, secret }, received)
}

pub(crate) async fn next(received: &mut mpsc::UnboundedReceiver<Received>) -> Received {
    tokio::time::timeout(LIMIT, received.recv())
        .await
        .expect("a webhook in time")
        .expect("a webhook")
}
