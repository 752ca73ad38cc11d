//! The places where the service dies.

use std::collections::BTreeSet;

/// A step of the service with a fail-point before and after it.
#[derive(Debug)]
pub(crate) struct Site {
    /// As in the sources.
    pub(crate) name: &'static str,
    /// Of a step that the reconciler takes: the fail-point that leaves it something to do.
    pub(crate) left_by: Option<&'static str>,
    /// Whether the load comes by seldom, so that it is not waited for many times.
    rare: bool,
}

const fn often(name: &'static str) -> Site {
    Site {
        name,
        left_by: None,
        rare: false,
    }
}

const fn rare(name: &'static str) -> Site {
    Site {
        rare: true,
        ..often(name)
    }
}

const fn reconciled(name: &'static str, left_by: &'static str) -> Site {
    Site {
        left_by: Some(left_by),
        ..rare(name)
    }
}

/// Every step with fail-points; of `stripe.*` those that the load asks for.
pub(crate) const SITES: &[Site] = &[
    often("charge.begin"),
    often("charge.claim_and_begin"),
    often("charge.settle"),
    often("charge.settle_and_finish"),
    often("attempt.add"),
    often("refund.insert"),
    reconciled("refund.begin_call", "refund.note.commit.after"),
    often("refund.update"),
    often("payment.show_refunds"),
    often("ledger.book"),
    often("customer.keep"),
    often("method.keep"),
    rare("subscription.insert"),
    rare("subscription.save"),
    rare("invoice.insert"),
    rare("invoice_line.insert"),
    rare("invoice.set_status"),
    rare("invoice_payment.begin"),
    often("change.note.commit"),
    often("refund.note.commit"),
    often("refund.settle.commit"),
    often("method.attach.commit"),
    rare("subscribe.note.commit"),
    rare("subscribe.settle.commit"),
    reconciled("settle.commit", "subscribe.note.commit.after"),
    reconciled("settle_refund.commit", "refund.note.commit.after"),
    reconciled("reconcile.payment.note.commit", "charge.claim_and_begin.after"),
    reconciled("reconcile.change.note.commit", "change.note.commit.after"),
    often("idempotency.claim"),
    often("idempotency.finish"),
    rare("idempotency.release"),
    often("outbox.publish"),
    often("relay.publish"),
    often("relay.confirm"),
    often("relay.mark"),
    often("stripe.customers.create"),
    often("stripe.payment_methods.retrieve"),
    often("stripe.payment_methods.attach"),
    often("stripe.payment_intents.create"),
    often("stripe.payment_intents.capture"),
    rare("stripe.payment_intents.cancel"),
    often("stripe.refunds.create"),
    reconciled("stripe.payment_intents.list", "charge.claim_and_begin.after"),
    reconciled("stripe.payment_intents.retrieve", "change.note.commit.after"),
    reconciled("stripe.refunds.list", "refund.note.commit.after"),
];

impl Site {
    /// What kind of step it is.
    pub(crate) fn group(&self) -> &'static str {
        let group = self.name.split('.').next().unwrap_or(self.name);
        match group {
            "stripe" | "relay" | "idempotency" => group,
            _ if self.name.ends_with(".commit") => "commit",
            _ => "write",
        }
    }
}

/// One death.
#[derive(Debug)]
pub(crate) struct Kill {
    pub(crate) site: &'static Site,
    /// The site, before or after.
    pub(crate) point: String,
    /// How often the process comes by unharmed.
    pub(crate) skip: usize,
}

/// So many deaths: all sites in turn, each before and after by turns, and a little later in each round. Those of the reconciler take
/// another death to get there.
pub(crate) fn kills(wanted: usize) -> impl Iterator<Item = Kill> {
    (0..wanted).map(|number| {
        let (round, index) = (number / SITES.len(), number % SITES.len());
        let site = &SITES[index];
        let moment = ["before", "after"][(round + index) % 2];
        Kill {
            site,
            point: format!("{}.{moment}", site.name),
            skip: match (site.left_by, site.rare) {
                (Some(_), _) => 0,
                (None, true) => round / 2 % 2,
                (None, false) => (round / 2 + index) % 4,
            },
        }
    })
}

/// The names of all sites; those at Stripe as the one that they are in the sources.
pub(crate) fn named() -> BTreeSet<String> {
    SITES
        .iter()
        .map(|site| match site.name.split_once('.') {
            Some(("stripe", _)) => "stripe.{}".to_owned(),
            _ => site.name.to_owned(),
        })
        .collect()
}
