//! A RabbitMQ vhost of its own for each test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::{client, servers, wait_for};

/// A vhost that exists as long as this value.
#[derive(Debug)]
pub struct TestVhost {
    /// `amqp://user:password@host:port/<vhost>`
    pub amqp_url: String,
    /// The vhost's name.
    pub name: String,
    management: Url,
    http: reqwest::Client,
}

/// A message that was in a queue.
#[derive(Debug, Clone)]
pub struct QueuedMessage {
    /// The body.
    pub body: Vec<u8>,
    /// The routing key it was published with.
    pub routing_key: String,
    /// `message_id` of its properties.
    pub message_id: Option<String>,
    /// Its headers, as text.
    pub headers: BTreeMap<String, String>,
}

impl QueuedMessage {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", String::from_utf8_lossy(&self.body)))
    }
}

impl TestVhost {
    /// A new, empty vhost.
    pub async fn create() -> Self {
        let servers = servers().await;
        let name = format!("test-{}", Uuid::new_v4().simple());
        let management = Url::parse(&servers.management_url).expect("the management URL is a URL");
        let mut amqp = Url::parse(&servers.amqp_url).expect("the AMQP URL is a URL");
        amqp.set_path(&name);
        let vhost = Self {
            amqp_url: amqp.to_string(),
            name,
            management,
            http: client(),
        };
        vhost
            .api(
                Method::PUT,
                &format!("/api/vhosts/{}", vhost.name),
                Some(json!({})),
            )
            .await;
        let permissions = format!("/api/permissions/{}/{}", vhost.name, amqp.username());
        vhost
            .api(
                Method::PUT,
                &permissions,
                Some(json!({"configure": ".*", "write": ".*", "read": ".*"})),
            )
            .await;
        vhost
    }

    /// The same vhost through another address, such as a [`crate::TcpProxy`].
    pub fn url_via(&self, address: SocketAddr) -> String {
        crate::proxy::with_address(&self.amqp_url, address)
    }

    /// The address of the broker, to put a proxy before it.
    pub fn address(&self) -> SocketAddr {
        crate::proxy::address_of(&self.amqp_url, 5672)
    }

    /// A connection to the vhost.
    pub async fn connect(&self) -> Connection {
        Connection::connect(
            &self.amqp_url,
            ConnectionProperties::default().with_connection_name("test".into()),
        )
        .await
        .unwrap_or_else(|error| panic!("the RabbitMQ for tests does not answer: {error}"))
    }

    /// How many messages are ready in a queue; exact, not a statistic. `None` where there is no such queue.
    pub async fn depth(&self, queue: &str) -> Option<u32> {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.expect("a channel");
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declared = channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await;
        connection.close(200, "done".into()).await.ok();
        declared.ok().map(|queue| queue.message_count())
    }

    /// Waits until a queue has `count` messages ready.
    pub async fn wait_depth(&self, queue: &str, count: u32, bound: Duration) {
        let what = format!("{count} messages in {queue}");
        wait_for(&what, bound, async || {
            let depth = self.depth(queue).await;
            if depth == Some(count) { Ok(()) } else { Err(depth) }
        })
        .await;
    }

    /// Takes every ready message out of a queue, in order.
    pub async fn take(&self, queue: &str) -> Vec<QueuedMessage> {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.expect("a channel");
        let mut messages = Vec::new();
        while let Some(got) = channel
            .basic_get(queue.into(), BasicGetOptions::default())
            .await
            .unwrap_or_else(|error| panic!("the queue {queue} cannot be read: {error}"))
        {
            got.delivery
                .acker
                .ack(BasicAckOptions::default())
                .await
                .expect("an ack");
            let headers = got.delivery.properties.headers().clone().unwrap_or_default();
            messages.push(QueuedMessage {
                body: got.delivery.data.clone(),
                routing_key: got.delivery.routing_key.to_string(),
                message_id: got
                    .delivery
                    .properties
                    .message_id()
                    .as_ref()
                    .map(ToString::to_string),
                headers: headers
                    .inner()
                    .iter()
                    .map(|(key, value)| (key.to_string(), text(value)))
                    .collect(),
            });
        }
        connection.close(200, "done".into()).await.ok();
        messages
    }

    /// Closes every connection to this vhost from the broker's side, as an operator or a crash would; returns how many.
    pub async fn close_connections(&self) -> usize {
        let listed = self
            .api(
                Method::GET,
                &format!("/api/vhosts/{}/connections", self.name),
                None,
            )
            .await;
        let names: Vec<&str> = listed
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["name"].as_str())
            .collect();
        for name in &names {
            let mut url = self.management.clone();
            if let Ok(mut path) = url.path_segments_mut() {
                path.clear().extend(["api", "connections", name]);
            }
            self.send(Method::DELETE, url, None).await;
        }
        names.len()
    }

    /// Any call of the management API; panics on an answer that is not a success.
    pub async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut url = self.management.clone();
        url.set_path(path);
        self.send(method, url, body).await
    }

    async fn send(&self, method: Method, mut url: Url, body: Option<Value>) -> Value {
        let (user, password) = (url.username().to_owned(), url.password().map(str::to_owned));
        let path = url.path().to_owned();
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let mut request = self.http.request(method.clone(), url).basic_auth(user, password);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("RabbitMQ's management does not answer: {error}"));
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        let gone = status == StatusCode::NOT_FOUND && method == Method::DELETE;
        assert!(status.is_success() || gone, "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

impl Drop for TestVhost {
    fn drop(&mut self) {
        let (management, name) = (self.management.clone(), self.name.clone());
        // On a thread with a runtime of its own: the test's runtime may be stopping, and drop cannot wait in it.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            runtime.block_on(async {
                let (user, password) = (
                    management.username().to_owned(),
                    management.password().map(str::to_owned),
                );
                let mut url = management;
                url.set_path(&format!("/api/vhosts/{name}"));
                let _ = url.set_username("");
                let _ = url.set_password(None);
                client().delete(url).basic_auth(user, password).send().await.ok()
            })
        });
        if !matches!(deleted.join(), Ok(Some(answer)) if answer.status().is_success()) {
            eprintln!("the vhost {} was left behind", self.name);
        }
    }
}

/// A header's value as text, without lapin's type around it.
fn text(value: &lapin::types::AMQPValue) -> String {
    use lapin::types::AMQPValue;
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Timestamp(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::BasicProperties;
    use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
    use lapin::types::FieldTable;

    use super::TestVhost;
    use crate::wait_until;

    #[tokio::test]
    async fn messages_are_counted_and_taken_and_connections_closed() {
        let vhost = TestVhost::create().await;
        assert_eq!(vhost.depth("queue").await, None);
        let connection = vhost.connect().await;
        let channel = connection.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        channel
            .queue_declare(
                "queue".into(),
                QueueDeclareOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        for body in [b"1", b"2"] {
            let properties = BasicProperties::default().with_message_id("an id".into());
            let options = BasicPublishOptions::default();
            let sent = channel
                .basic_publish("".into(), "queue".into(), options, body, properties)
                .await;
            sent.unwrap().await.unwrap();
        }
        vhost.wait_depth("queue", 2, Duration::from_secs(5)).await;
        let taken = vhost.take("queue").await;
        assert_eq!(
            taken.iter().map(super::QueuedMessage::json).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(taken[0].message_id.as_deref(), Some("an id"));
        assert_eq!(vhost.depth("queue").await, Some(0));

        let bound = Duration::from_secs(10);
        wait_until(
            "a connection to close",
            bound,
            async || vhost.close_connections().await,
            |closed| *closed > 0,
        )
        .await;
        wait_until(
            "the client to notice",
            bound,
            async || connection.status().connected(),
            |connected| !connected,
        )
        .await;
    }
}
