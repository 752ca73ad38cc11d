//! AMQP message headers: our own, and reading whatever a broker or another client may have put there.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

/// Names of the headers on messages in retry queues and in the dead queue.
pub mod names {
    /// How many times the event was handled without success.
    pub const ATTEMPT: &str = "x-banyan-attempt";
    /// Why the last attempt failed.
    pub const REASON: &str = "x-banyan-reason";
    /// When the first attempt failed, RFC 3339.
    pub const FIRST_FAILED_AT: &str = "x-banyan-first-failed-at";
    /// When the event was given up, RFC 3339.
    pub const DEAD_AT: &str = "x-banyan-dead-at";
    /// Trace id of the last attempt.
    pub const TRACE_ID: &str = "x-banyan-trace-id";
    /// The queue whose consumer failed.
    pub const ORIGINAL_QUEUE: &str = "x-banyan-original-queue";
    /// The routing key the event was published with: a way through a retry queue replaces the message's own.
    pub const ORIGINAL_ROUTING_KEY: &str = "x-banyan-original-routing-key";
    /// Names a dead message that has no message id of its own.
    pub const DEAD_ID: &str = "x-banyan-dead-id";
    /// How many times an operator sent it back from the dead queue.
    pub const REPLAYS: &str = "x-banyan-replays";
}

/// A header as text.
pub(crate) fn text(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(value) => Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
        AMQPValue::ShortString(value) => Some(value.as_str().to_owned()),
        _ => None,
    }
}

/// A header as a count; absent, negative or not a number is `None`.
pub(crate) fn count(properties: &BasicProperties, name: &str) -> Option<u32> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::ShortShortInt(value) => u32::try_from(*value).ok(),
        AMQPValue::ShortShortUInt(value) => Some(u32::from(*value)),
        AMQPValue::ShortInt(value) => u32::try_from(*value).ok(),
        AMQPValue::ShortUInt(value) => Some(u32::from(*value)),
        AMQPValue::LongInt(value) => u32::try_from(*value).ok(),
        AMQPValue::LongUInt(value) => Some(*value),
        AMQPValue::LongLongInt(value) => u32::try_from(*value).ok(),
        _ => None,
    }
}

/// Sets a text header.
pub(crate) fn set_text(table: &mut FieldTable, name: &str, value: &str) {
    table.insert(name.into(), AMQPValue::LongString(value.into()));
}

/// Sets a count.
pub(crate) fn set_count(table: &mut FieldTable, name: &str, value: u32) {
    table.insert(name.into(), AMQPValue::LongLongInt(i64::from(value)));
}

/// A message's headers without those that the broker adds by itself on its ways: they would grow with every round, and
/// the broker's cycle detection drops a message whose `x-death` has the target already.
pub(crate) fn without_brokers_own(properties: &BasicProperties) -> FieldTable {
    let mut kept = FieldTable::default();
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        let brokers_own = name.as_str() == "x-death"
            || name.as_str() == "x-delivery-count"
            || name.as_str().starts_with("x-first-death-")
            || name.as_str().starts_with("x-last-death-");
        if !brokers_own {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_header_types_do_not_matter() {
        let mut table = FieldTable::default();
        set_text(&mut table, names::REASON, "because");
        set_count(&mut table, names::ATTEMPT, 3);
        table.insert("short".into(), AMQPValue::ShortShortUInt(7));
        table.insert("negative".into(), AMQPValue::LongInt(-1));
        table.insert("x-death".into(), AMQPValue::Void);
        table.insert("x-first-death-queue".into(), AMQPValue::Void);
        let properties = BasicProperties::default().with_headers(table);
        assert_eq!(text(&properties, names::REASON).as_deref(), Some("because"));
        assert_eq!(text(&properties, names::ATTEMPT), None);
        assert_eq!(count(&properties, names::ATTEMPT), Some(3));
        assert_eq!(count(&properties, "short"), Some(7));
        assert_eq!(count(&properties, "negative"), None);
        let kept = without_brokers_own(&properties);
        assert!(kept.contains_key(names::ATTEMPT) && !kept.contains_key("x-death"));
        assert_eq!(kept.inner().len(), 4);
    }
}
