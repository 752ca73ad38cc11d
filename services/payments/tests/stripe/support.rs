//! A client of a test's own Stripe, and what tests ask of it.

use std::time::Duration;

use banyan_test_support::{STRIPE_KEY, TestStripe, client};
use payments::stripe::{
    CONFIG_DEFAULTS, CaptureMethod, CreatePaymentIntent, IdempotencyKey, PaymentIntent, StripeClient,
    StripeConfig, StripeError,
};
use serde::Deserialize;
use tokio::time::Instant;

pub(crate) const INTENTS: &str = "/v1/payment_intents";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_only_for_tests";

/// Longer than anything here takes, on a busy machine too.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// The defaults with short pauses, changed as a test wants.
pub(crate) fn config(base_url: &str, change: impl FnOnce(&mut toml::Table)) -> StripeConfig {
    #[derive(Deserialize)]
    struct Whole {
        stripe: StripeConfig,
    }
    let mut whole: toml::Table = CONFIG_DEFAULTS.parse().expect("TOML");
    let stripe = whole["stripe"].as_table_mut().expect("a section");
    stripe.insert("base_url".into(), base_url.into());
    stripe.insert("secret_key".into(), STRIPE_KEY.into());
    stripe.insert("webhook_secret".into(), WEBHOOK_SECRET.into());
    stripe["retry"]["base_delay_ms"] = 10.into();
    change(stripe);
    whole.try_into::<Whole>().expect("a configuration").stripe
}

/// A client whose pauses are as long as they can be.
pub(crate) fn client_with(base_url: &str, change: impl FnOnce(&mut toml::Table)) -> StripeClient {
    // Installs the TLS provider, which the service does at its start.
    drop(client());
    StripeClient::new(config(base_url, change), |bound| bound).expect("a client")
}

/// One customer with one card at a Stripe of their own.
pub(crate) struct Bench {
    pub(crate) server: TestStripe,
    pub(crate) stripe: StripeClient,
    pub(crate) customer: String,
    pub(crate) card: String,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut toml::Table)) -> Self {
        let server = TestStripe::start(None).await;
        let stripe = client_with(&server.url(), change);
        let customer = stripe.create_customer(42, soon()).await.expect("a customer").id;
        let card = server.card("4242424242424242").await;
        Self {
            server,
            stripe,
            customer,
            card,
        }
    }

    /// A card with this number, attached to the customer.
    pub(crate) async fn attached(&self, number: &str) -> String {
        let card = self.server.card(number).await;
        let key = IdempotencyKey::new(format!("attach:{number}")).expect("a key");
        let attached = self
            .stripe
            .attach_payment_method(&card, &self.customer, &key, soon());
        attached.await.expect("attached").id
    }

    /// 10.00 USD for payment 7.
    pub(crate) fn payment(&self) -> CreatePaymentIntent<'_> {
        CreatePaymentIntent {
            payment_id: 7,
            amount: 1000,
            currency: "USD",
            customer: &self.customer,
            payment_method: &self.card,
            capture: CaptureMethod::Automatic,
            off_session: false,
        }
    }

    pub(crate) async fn charge(&self) -> Result<PaymentIntent, StripeError> {
        self.charge_as(&self.payment(), "one").await
    }

    pub(crate) async fn charge_as(
        &self,
        payment: &CreatePaymentIntent<'_>,
        key: &str,
    ) -> Result<PaymentIntent, StripeError> {
        self.stripe
            .create_payment_intent(payment, &charge_key(key), soon())
            .await
    }

    /// 10.00 USD, reserved.
    pub(crate) async fn reserve(&self) -> PaymentIntent {
        let payment = CreatePaymentIntent {
            capture: CaptureMethod::Manual,
            ..self.payment()
        };
        self.charge_as(&payment, "reserved").await.expect("reserved")
    }

    /// Status of every POST of a PaymentIntent that Stripe saw, with what it was executed for.
    pub(crate) fn charges_seen(&self) -> Vec<(Option<u16>, bool)> {
        let seen = self.server.requests().into_iter();
        let posts: Vec<_> = seen
            .filter(|one| one.method == "POST" && one.path == INTENTS)
            .collect();
        let keys: std::collections::HashSet<_> = posts.iter().map(|one| &one.idempotency_key).collect();
        assert!(keys.len() <= 1, "one key for all tries: {keys:?}");
        posts.iter().map(|one| (one.status, one.executed)).collect()
    }

    pub(crate) async fn intents(&self) -> usize {
        self.server.all("payment_intents").await.len()
    }
}

pub(crate) fn charge_key(client_key: &str) -> IdempotencyKey {
    IdempotencyKey::charge(42, client_key).expect("a key")
}
