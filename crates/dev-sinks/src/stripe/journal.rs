//! What was asked and what was delivered, for tests and for curious people.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde::Serialize;
use tokio::sync::watch;

use super::faults::Fault;
use super::{MAX_LISTED, lock};

/// One request and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// Counts up from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The status; none while it runs, and where the connection was closed instead.
    pub status: Option<u16>,
    /// Whether localstripe was asked.
    pub executed: bool,
    /// Whether a kept answer was given again.
    pub replayed: bool,
    /// What went wrong on purpose.
    pub faults: Vec<Fault>,
    /// Whether it has ended.
    pub done: bool,
}

/// One webhook and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Stripe's id of the event.
    pub event_id: String,
    /// Its type, such as `payment_intent.succeeded`.
    pub event_type: String,
    /// Tries made.
    pub attempts: u32,
    /// Status of the last answer; none where there was none.
    pub status: Option<u16>,
    /// Whether it was answered with 2xx.
    pub delivered: bool,
}

/// Both lists; what is oldest goes when there is no room.
#[derive(Debug, Default)]
pub(super) struct Journal {
    lists: Mutex<Lists>,
    changes: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Lists {
    count: u64,
    exchanges: VecDeque<Exchange>,
    deliveries: VecDeque<Delivery>,
}

impl Journal {
    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.lists).exchanges.iter().cloned().collect()
    }

    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.lists).deliveries.iter().cloned().collect()
    }

    pub(super) fn clear(&self) {
        let mut lists = lock(&self.lists);
        lists.exchanges.clear();
        lists.deliveries.clear();
    }

    pub(super) fn changes(&self) -> watch::Receiver<usize> {
        self.changes.subscribe()
    }

    /// Lists a request that has come; returns its number.
    pub(super) fn begin(&self, mut exchange: Exchange) -> u64 {
        let mut lists = lock(&self.lists);
        lists.count += 1;
        exchange.number = lists.count;
        push(&mut lists.exchanges, exchange);
        let number = lists.count;
        drop(lists);
        self.changed();
        number
    }

    pub(super) fn note(&self, number: u64, change: impl FnOnce(&mut Exchange)) {
        let mut lists = lock(&self.lists);
        if let Some(exchange) = lists.exchanges.iter_mut().rev().find(|one| one.number == number) {
            change(exchange);
        }
        drop(lists);
        self.changed();
    }

    /// Lists a delivery, or what has changed about it.
    pub(super) fn deliver(&self, delivery: Delivery) {
        let mut lists = lock(&self.lists);
        let known = lists
            .deliveries
            .iter_mut()
            .rev()
            .find(|one| one.event_id == delivery.event_id);
        match known {
            Some(known) => *known = delivery,
            None => push(&mut lists.deliveries, delivery),
        }
        drop(lists);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

fn push<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == MAX_LISTED {
        list.pop_front();
    }
    list.push_back(entry);
}
