//! Stripe for one test: localstripe in a process of its own, and the front before it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use banyan_dev_sinks::stripe::{Exchange, FaultRule, Settings, StripeFront, Target};
use banyan_local_stack::ports::free_port;
use banyan_local_stack::python::test_environment;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::http::client;
use crate::wait::wait_for;

/// Longer than anything here takes, on a busy machine too.
const BOUND: Duration = Duration::from_secs(30);

/// The API key of tests; localstripe takes any that begins with `sk_`.
pub const STRIPE_KEY: &str = "sk_test_only_for_tests";

/// A Stripe of a test's own; gone with this value.
#[derive(Debug)]
pub struct TestStripe {
    front: Option<StripeFront>,
    address: SocketAddr,
    upstream: String,
    webhook: Option<Target>,
    _localstripe: Child,
}

impl TestStripe {
    /// Starts one that sends its events to `webhook`, where there is one.
    pub async fn start(webhook: Option<Target>) -> Self {
        let port = free_port().expect("a free port");
        let localstripe = spawn(port);
        wait_for("localstripe", BOUND, async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await
        })
        .await;
        let upstream = format!("http://127.0.0.1:{port}");
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let front = front(any, &upstream, webhook.clone()).await;
        Self {
            address: front.addr(),
            front: Some(front),
            upstream,
            webhook,
            _localstripe: localstripe,
        }
    }

    /// The base URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has something go wrong with requests to come.
    pub fn inject(&self, rule: FaultRule) {
        self.front().inject(rule);
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<Exchange> {
        self.front().requests()
    }

    /// Waits until the requests satisfy `wanted`, and gives them.
    pub async fn wait_for_requests(&self, wanted: impl FnMut(&[Exchange]) -> bool) -> Vec<Exchange> {
        let seen = self.front().wait_for_requests(BOUND, wanted).await;
        seen.unwrap_or_else(|error| panic!("{error}; the requests were {:?}", self.requests()))
    }

    /// Closes the port and every connection. The front's idempotency keys, faults and lists are gone with it, what localstripe
    /// has is not.
    pub async fn go_down(&mut self) {
        drop(self.front.take());
        let address = self.address;
        wait_for("a closed port", BOUND, async || {
            match TcpStream::connect(address).await {
                Ok(_) => Err("still open"),
                Err(_) => Ok(()),
            }
        })
        .await;
    }

    /// Opens the same port again.
    pub async fn come_back(&mut self) {
        self.front = Some(front(self.address, &self.upstream, self.webhook.clone()).await);
    }

    /// All objects of a resource such as `payment_intents`, asked for behind the front's back, page by page: localstripe takes a while
    /// over thousands.
    pub async fn all(&self, resource: &str) -> Vec<Value> {
        let http = client();
        let mut all: Vec<Value> = Vec::new();
        loop {
            let mut url = format!("{}/v1/{resource}?limit=100", self.upstream);
            if let Some(last) = all.last() {
                url.push_str("&starting_after=");
                url.push_str(last["id"].as_str().expect("an id"));
            }
            let request = http.get(url).bearer_auth(STRIPE_KEY);
            let mut page = answer(request).await;
            let Value::Array(objects) = page["data"].take() else {
                panic!("no list: {page}");
            };
            all.extend(objects);
            if page["has_more"] != true {
                return all;
            }
        }
    }

    /// The id of a new payment method with that card number, as a browser would make it; see
    /// <https://docs.stripe.com/testing> for what the numbers do.
    pub async fn card(&self, number: &str) -> String {
        let form =
            format!("type=card&card[number]={number}&card[exp_month]=12&card[exp_year]=2030&card[cvc]=123");
        let request = client()
            .post(format!("{}/v1/payment_methods", self.upstream))
            .bearer_auth(STRIPE_KEY)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let made = answer(request).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    fn front(&self) -> &StripeFront {
        self.front.as_ref().expect("the front is up")
    }
}

async fn front(listen: SocketAddr, upstream: &str, webhook: Option<Target>) -> StripeFront {
    let settings = Settings {
        listen,
        upstream: upstream.to_owned(),
        webhook,
    };
    StripeFront::start(settings).await.expect("the front starts")
}

fn spawn(port: u16) -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let venv = test_environment(&root).expect("a Python environment");
    Command::new(venv.program("python"))
        .arg(root.join("crates/local-stack/python/serve_localstripe.py"))
        .args(["--port", &port.to_string()])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("localstripe starts")
}

async fn answer(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.expect("an answer");
    answer.json().await.expect("JSON")
}
