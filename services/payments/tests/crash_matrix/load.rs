//! What the clients do, and what they were told.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::{Answer, Ask, Client, Counts};
use crate::service::Address;
use crate::stage::Stage;

const CLIENTS: usize = 16;

/// Between two requests of a client, in milliseconds at most. With none, Stripe's stand-in would be what is tested.
const THINKING_MS: u64 = 120;

const CHARGE: &str = "/api/payments/charge";
const SUBSCRIBE: &str = "/api/payments/subscriptions";
/// 9.99 USD a month.
const PLAN: i64 = 1;

/// A payment as its user knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Known {
    pub(crate) status: String,
    /// In cents, as all amounts here.
    pub(crate) amount: i64,
    pub(crate) refunds: Vec<i64>,
}

/// What clients were told in the end.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) payments: BTreeMap<i64, Known>,
    pub(crate) subscriptions: usize,
    /// Requests with a key, and the answers that these have for good.
    answers: Vec<(Ask, Answer)>,
    counts: Counts,
}

pub(crate) struct Load {
    clients: JoinSet<Done>,
    end: CancellationToken,
    holds: watch::Sender<bool>,
    counts: Arc<Mutex<Counts>>,
}

impl Load {
    pub(crate) fn start(stage: &Stage, address: Address) -> Self {
        let (end, holds) = (CancellationToken::new(), watch::Sender::new(false));
        let client = stage.client(address, holds.subscribe());
        let counts = Arc::clone(&client.counts);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let user = User {
                client: client.clone(),
                rng: StdRng::seed_from_u64(number as u64),
                id: 0,
                keys: 0,
                done: Done::default(),
            };
            clients.spawn(user.live(number, end.clone()));
        }
        Self {
            clients,
            end,
            holds,
            counts,
        }
    }

    /// Whether clients keep from repeating what got no final answer.
    pub(crate) fn hold(&self, holds: bool) {
        self.holds.send_replace(holds);
    }

    /// Lets every client come to its end.
    pub(crate) async fn finish(self) -> Done {
        self.end.cancel();
        let mut all = Done::default();
        for done in self.clients.join_all().await {
            all.payments.extend(done.payments);
            all.subscriptions += done.subscriptions;
            all.answers.extend(done.answers);
        }
        all.counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all
    }
}

impl Done {
    /// Every key gets the answer once more that it had; how many.
    pub(crate) async fn ask_everything_again(&self, stage: &Stage, address: Address) -> usize {
        let client = stage.client(address, watch::Sender::new(false).subscribe());
        stream::iter(&self.answers)
            .for_each_concurrent(CLIENTS, |(ask, answer)| {
                let mut client = client.clone();
                async move { assert_eq!(&client.ask(ask).await, answer, "{ask:?}") }
            })
            .await;
        self.answers.len()
    }

    /// How many keys have an answer for good.
    pub(crate) fn keys(&self) -> usize {
        self.answers.len()
    }

    pub(crate) fn count(&self, status: impl Fn(&Known) -> bool) -> usize {
        self.payments.values().filter(|known| status(known)).count()
    }

    pub(crate) fn summary(&self) -> String {
        let mut statuses: HashMap<&str, usize> = HashMap::new();
        for known in self.payments.values() {
            *statuses.entry(&known.status).or_default() += 1;
        }
        format!(
            "{} requests, {} lost, {:?} put off; {} subscriptions, payments {statuses:?}",
            self.counts.requests, self.counts.lost, self.counts.put_off, self.subscriptions
        )
    }
}

/// One client, being one user after the other.
struct User {
    client: Client,
    rng: StdRng,
    id: i64,
    keys: usize,
    done: Done,
}

impl User {
    async fn live(mut self, number: usize, end: CancellationToken) -> Done {
        self.id = i64::try_from(number).expect("small") * 1_000_000;
        while !end.is_cancelled() {
            self.id += 1;
            let card = self.first_charge().await;
            for _ in 0..4 {
                if end.is_cancelled() {
                    break;
                }
                match self.rng.random_range(0..10) {
                    0..=2 => self.charge_and_refund(card).await,
                    3..=6 => self.reserve(card).await,
                    7 => self.decline().await,
                    8 => self.use_no_card().await,
                    _ => self.ask_again().await,
                }
            }
            if self.rng.random_bool(0.4) {
                self.subscribe(card).await;
            }
        }
        self.done
    }

    /// A charge that makes the customer and attaches the card; the card's id.
    async fn first_charge(&mut self) -> i64 {
        let (_, body) = self.charge(json!("pm_card_visa"), true, 201).await;
        assert_eq!(body["status"], "completed", "{body}");
        body["paymentMethodId"].as_i64().expect("a card")
    }

    async fn charge_and_refund(&mut self, card: i64) {
        let (id, _) = self.charge(json!(card), true, 201).await;
        for part in [true, false] {
            let known = &self.done.payments[&id];
            let left = known.amount - known.refunds.iter().sum::<i64>();
            // The rest by leaving the amount out.
            let (amount, body) = if part {
                let amount = self.rng.random_range(1..left);
                (amount, json!({ "amount": major(amount) }))
            } else {
                (left, json!({}))
            };
            let answer = self.keyed(format!("/api/payments/{id}/refunds"), body).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            assert_eq!(cents(&answer.body["amount"]), amount, "{answer:?}");
            self.known(id).refunds.push(amount);
            if self.rng.random_bool(0.5) {
                break;
            }
        }
    }

    async fn reserve(&mut self, card: i64) {
        let (id, body) = self.charge(json!(card), false, 201).await;
        assert_eq!(body["status"], "requires_capture", "{body}");
        let reserved = self.done.payments[&id].amount;
        let (path, body, status, amount) = match self.rng.random_range(0..8) {
            0..=2 => ("capture", json!({}), "completed", reserved),
            3..=5 => {
                let amount = self.rng.random_range(1..reserved);
                ("capture", json!({ "amount": major(amount) }), "completed", amount)
            }
            6 => ("cancel", json!({}), "canceled", reserved),
            _ => return,
        };
        let answer = self.ask(format!("/api/payments/{id}/{path}"), None, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["status"], status, "{answer:?}");
        assert_eq!(cents(&answer.body["amount"]), amount, "{answer:?}");
        let known = self.known(id);
        status.clone_into(&mut known.status);
        known.amount = amount;
    }

    async fn decline(&mut self) {
        let (_, body) = self.charge(json!("pm_card_chargeDeclined"), true, 402).await;
        assert_eq!(body["status"], "failed", "{body}");
    }

    /// A refusal leaves its key free.
    async fn use_no_card(&mut self) {
        let body = json!({ "amount": "10.00", "currency": "USD", "paymentMethodId": i64::from(i32::MAX) });
        let key = self.new_key();
        let answer = self.ask(CHARGE.to_owned(), Some(key), body).await;
        assert_eq!(answer.status, 422, "{answer:?}");
    }

    async fn subscribe(&mut self, card: i64) {
        let body = json!({ "planId": PLAN, "paymentMethodId": card });
        let answer = self.keyed(SUBSCRIBE.to_owned(), body).await;
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (201, &json!("active")),
            "{answer:?}"
        );
        self.done.subscriptions += 1;
    }

    /// One of the answers that there were, once more.
    async fn ask_again(&mut self) {
        let index = self.rng.random_range(0..self.done.answers.len());
        let (ask, before) = self.done.answers[index].clone();
        assert_eq!(self.client.ask(&ask).await, before, "{ask:?}");
    }

    /// Charges any amount; the payment's id and the answer.
    async fn charge(&mut self, card: Value, capture: bool, status: u16) -> (i64, Value) {
        let amount = self.rng.random_range(100..100_000);
        let body = json!({
            "amount": major(amount), "currency": "USD", "paymentMethodId": card, "capture": capture,
        });
        let answer = self.keyed(CHARGE.to_owned(), body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(cents(&answer.body["amount"]), amount, "{answer:?}");
        let id = answer.body["id"].as_i64().expect("an id");
        let known = Known {
            status: answer.body["status"].as_str().expect("a status").to_owned(),
            amount,
            refunds: Vec::new(),
        };
        let earlier = self.done.payments.insert(id, known);
        assert_eq!(earlier, None, "two keys, one payment: {answer:?}");
        (id, answer.body)
    }

    fn known(&mut self, id: i64) -> &mut Known {
        self.done.payments.get_mut(&id).expect("charged before")
    }

    fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("{}-{}", self.id, self.keys)
    }

    /// With a key of its own, whose answer is kept.
    async fn keyed(&mut self, path: String, body: Value) -> Answer {
        let key = self.new_key();
        let ask = Ask {
            user_id: self.id,
            path,
            key: Some(key),
            body,
        };
        self.think().await;
        let answer = self.client.ask(&ask).await;
        self.done.answers.push((ask, answer.clone()));
        answer
    }

    async fn ask(&mut self, path: String, key: Option<String>, body: Value) -> Answer {
        self.think().await;
        let user_id = self.id;
        let ask = Ask {
            user_id,
            path,
            key,
            body,
        };
        self.client.ask(&ask).await
    }

    async fn think(&mut self) {
        let pause = self.rng.random_range(0..THINKING_MS);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

fn major(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn cents(amount: &Value) -> i64 {
    let text = amount.as_str().expect("an amount").replace('.', "");
    text.parse().expect("cents")
}
