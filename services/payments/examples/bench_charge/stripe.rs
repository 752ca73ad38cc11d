//! What answers the service in the place of Stripe, and swallows its traces.
//!
//! The peer of a load generator, not a test of behaviour: it knows one operation, checks nothing, keeps nothing, and always says that
//! the charge succeeded, because localstripe, which does check, takes longer than all that is to be measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::http1::{Message, Wire};

/// A Stripe that answers at once, or after a while.
pub(crate) struct Stripe {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    delay_ms: AtomicU64,
    made: AtomicU64,
    at_once: AtomicUsize,
    peak: AtomicUsize,
    trace_exports: AtomicUsize,
}

impl Stripe {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // A connection that ends is the service's affair.
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Ok(Self { address, shared })
    }

    /// How long each charge takes from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(millis, Ordering::Relaxed);
    }

    /// The most charges that were under way at the same time since this was last asked.
    pub(crate) fn take_peak(&self) -> usize {
        self.shared.peak.swap(0, Ordering::Relaxed)
    }

    /// How many batches of spans came.
    pub(crate) fn trace_exports(&self) -> usize {
        self.shared.trace_exports.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut wire = Wire::new(stream)?;
        while let Some(request) = wire.receive().await? {
            let head = request.head();
            if head.starts_with(b"POST /v1/payment_intents ") {
                let answer = self.charge(&request).await;
                wire.send(answer.as_bytes()).await?;
            } else if head.starts_with(b"POST /v1/traces ") {
                self.trace_exports.fetch_add(1, Ordering::Relaxed);
                wire.send(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
                )
                .await?;
            } else {
                wire.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    .await?;
            }
        }
        Ok(())
    }

    async fn charge(&self, request: &Message) -> String {
        let under_way = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(under_way, Ordering::Relaxed);
        let delay = self.delay_ms.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        let body = intent(request.body(), self.made.fetch_add(1, Ordering::Relaxed));
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// The object as Stripe sends it, about as long, with what was asked for in it.
fn intent(form: &[u8], number: u64) -> String {
    let (mut amount, mut currency, mut customer, mut method, mut payment) = Default::default();
    for (name, value) in url::form_urlencoded::parse(form) {
        match &*name {
            "amount" => amount = value,
            "currency" => currency = value,
            "customer" => customer = value,
            "payment_method" => method = value,
            "metadata[payment_id]" => payment = value,
            _ => {}
        }
    }
    // The pid keeps the ids of two runs on one database apart.
    let id = format!("{:08x}{number:016x}", std::process::id());
    format!(
        r#"{{"id":"pi_{id}","object":"payment_intent","amount":{amount},"amount_capturable":0,"amount_details":{{"tip":{{}}}},"amount_received":{amount},"application":null,"application_fee_amount":null,"automatic_payment_methods":null,"canceled_at":null,"cancellation_reason":null,"capture_method":"automatic","client_secret":"pi_{id}_secret","confirmation_method":"automatic","created":1750000000,"currency":"{currency}","customer":"{customer}","description":null,"last_payment_error":null,"latest_charge":"ch_{id}","livemode":false,"metadata":{{"payment_id":"{payment}"}},"next_action":null,"on_behalf_of":null,"payment_method":"{method}","payment_method_configuration_details":null,"payment_method_options":{{"card":{{"installments":null,"mandate_options":null,"network":null,"request_three_d_secure":"automatic"}}}},"payment_method_types":["card"],"processing":null,"receipt_email":null,"review":null,"setup_future_usage":null,"shipping":null,"source":null,"statement_descriptor":null,"statement_descriptor_suffix":null,"status":"succeeded","transfer_data":null,"transfer_group":null}}"#
    )
}
