//! Clients that do not wait for the answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::{Call, Stage, write_once};

async fn post(stage: &Stage, call: &Call) -> TcpStream {
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.write_all(&call.raw()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_request_ends_although_its_client_hung_up() {
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let stage = Stage::new({
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        move |work| {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            async move {
                begun.add_permits(1);
                gate.acquire().await.unwrap().forget();
                write_once(&work, "to its end").await
            }
        }
    })
    .await;
    let stream = post(&stage, &stage.call()).await;
    begun.acquire().await.unwrap().forget();
    drop(stream);
    // A later exchange on the same server: by then it has seen the end of the connection.
    assert_eq!(stage.call().send().await.status, 409);
    gate.add_permits(1);
    stage.all_finished().await;
    let again = stage.call().send().await;
    assert_eq!(
        (again.said(), again.replayed()),
        ((201, json!("to its end")), true)
    );
    assert_eq!(stage.runs(), 1);
}

/// At any moment: while the head or the body is on its way, before the claim, within the handler, after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_moment_of_hanging_up_leaves_a_key_behind() {
    const CLIENTS: u32 = 200;
    let stage = Stage::new(|work| async move {
        // The moment in the handler is what the test is about.
        tokio::time::sleep(Duration::from_micros(700)).await;
        write_once(&work, "once").await
    })
    .await;
    assert_eq!(stage.call().key("warm").send().await.status, 201);
    let calls: Vec<Call> = (0..CLIENTS)
        .map(|client| stage.call().key(&format!("client {client}")))
        .collect();
    for (client, call) in (0..CLIENTS).zip(&calls) {
        let bytes = call.raw();
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        if client % 10 == 0 {
            let part = bytes.len() * usize::try_from(client).unwrap() / usize::try_from(CLIENTS).unwrap();
            stream.write_all(&bytes[..part]).await.unwrap();
        } else {
            stream.write_all(&bytes).await.unwrap();
            tokio::time::sleep(Duration::from_micros(u64::from(client) * 40)).await;
        }
        drop(stream);
    }
    stage.all_finished().await;
    for call in &calls {
        let answer = call.send().await;
        assert_eq!(answer.said(), (201, json!("once")));
    }
    let writes = stage.things().await.len();
    assert_eq!(writes, usize::try_from(CLIENTS).unwrap() + 1, "each once");
    assert_eq!(stage.runs(), writes);
}
