//! The AsyncAPI 3 document: what is published where, for teams that want to consume.

use serde_json::{Map, Value, json};

use super::{ENVELOPE_MAJOR, schemas};
use crate::{CONTENT_TYPE, EventKind};

/// The topic exchange every event is published to.
const EXCHANGE: &str = "domain-events";

/// Version of the AMQP bindings used.
const AMQP_BINDING: &str = "0.3.0";

/// The document, with every schema inside: one file is all a reader needs.
pub(super) fn document() -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for kind in EventKind::ALL {
        let name = kind.name();
        channels.insert(name.into(), channel(*kind));
        operations.insert(format!("publish.{name}"), operation(name));
        messages.insert(name.into(), message(*kind));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Domain events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "CloudEvents 1.0 in structured JSON on one durable topic exchange; the routing key is the event type. \
                Delivery is at least once, in order per subject: deduplicate by `id`. Readers ignore fields they do not know; \
                within a major version only optional fields are added.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "local": {
                "host": "127.0.0.1:55672",
                "pathname": "/banyan",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ of the local stack.",
            },
        },
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": components() },
    })
}

fn channel(kind: EventKind) -> Value {
    let name = kind.name();
    json!({
        "address": name,
        "description": description(kind),
        "messages": { (name): { "$ref": format!("#/components/messages/{name}") } },
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": { "name": EXCHANGE, "type": "topic", "durable": true, "autoDelete": false, "vhost": "banyan" },
                "bindingVersion": AMQP_BINDING,
            },
        },
    })
}

fn operation(name: &str) -> Value {
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{name}") },
        "messages": [{ "$ref": format!("#/channels/{name}/messages/{name}") }],
        "bindings": { "amqp": { "deliveryMode": 2, "mandatory": false, "timestamp": true, "bindingVersion": AMQP_BINDING } },
    })
}

fn message(kind: EventKind) -> Value {
    let name = kind.name();
    json!({
        "name": name,
        "title": description(kind),
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {
                "traceparent": { "type": "string", "description": "W3C trace context, as in the envelope." },
                "tracestate": { "type": "string" },
            },
        },
        "payload": {
            "allOf": [
                { "$ref": format!("#/components/schemas/envelope.v{ENVELOPE_MAJOR}") },
                {
                    "type": "object",
                    "properties": {
                        "type": { "const": name },
                        "dataschema": { "const": kind.dataschema() },
                        "data": { "$ref": format!("#/components/schemas/{name}.v{}", kind.major()) },
                    },
                },
            ],
        },
        "bindings": { "amqp": { "messageType": name, "bindingVersion": AMQP_BINDING } },
    })
}

/// The schemas under their file stems. They use only keywords that draft 07, which AsyncAPI's own schema object is made
/// of, shares with 2020-12, so the identifying keywords are all that has to go.
fn components() -> Map<String, Value> {
    let embedded = |(stem, mut schema): (String, Value)| {
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
            object.remove("$id");
        }
        (stem, schema)
    };
    schemas().into_iter().map(embedded).collect()
}

fn description(kind: EventKind) -> Value {
    kind.schema().get("description").cloned().unwrap_or_default()
}
