//! The mail sink against a real SMTP client.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use banyan_dev_sinks::mail::{Fault, MailSink};
use lettre::message::MultiPart;
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

const LIMIT: Duration = Duration::from_secs(30);

fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn client(sink: &MailSink) -> AsyncSmtpTransport<Tokio1Executor> {
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(sink.addr().ip().to_string())
        .port(sink.addr().port())
        .timeout(Some(Duration::from_secs(10)))
        .pool_config(PoolConfig::new().max_size(16))
        .build()
}

fn message(id: &str, to: &str) -> Message {
    Message::builder()
        .from("shop@banyan.test".parse().expect("address"))
        .to(to.parse().expect("address"))
        .message_id(Some(format!("<{id}>")))
        .subject("Grüße und ein Betreff, der lang genug ist, um gefaltet zu werden, wie es im Leben vorkommt")
        .multipart(MultiPart::alternative_plain_html(
            "Zeile eins\n.Zeile mit Punkt\n.\nEnde, für Sie".to_owned(),
            "<p>für Sie</p>".to_owned(),
        ))
        .expect("message")
}

async fn send(mailer: &AsyncSmtpTransport<Tokio1Executor>, id: &str, to: &str) -> Result<(), Error> {
    mailer.send(message(id, to)).await.map(drop)
}

#[tokio::test]
async fn keeps_the_message_as_it_was_sent_in_memory_and_as_a_file() {
    let dir = tempfile::tempdir().expect("directory");
    let sink = MailSink::start(anywhere(), Some(dir.path())).await.expect("sink");
    send(&client(&sink), "one@banyan.test", "amy@example.test")
        .await
        .expect("sent");

    let messages = sink.wait_for(1, LIMIT).await.expect("arrival");
    let mail = &messages[0];
    assert_eq!(mail.message_id.as_deref(), Some("one@banyan.test"));
    assert_eq!(mail.from, "shop@banyan.test");
    assert_eq!(mail.to, ["amy@example.test"]);
    assert_eq!(
        mail.subject().as_deref(),
        Some("Grüße und ein Betreff, der lang genug ist, um gefaltet zu werden, wie es im Leben vorkommt")
    );
    let text = mail.text().expect("text").replace("\r\n", "\n");
    assert_eq!(text.trim_end(), "Zeile eins\n.Zeile mit Punkt\n.\nEnde, für Sie");
    assert_eq!(mail.html().expect("html").trim_end(), "<p>für Sie</p>");

    let files: Vec<_> = std::fs::read_dir(dir.path().join("new")).expect("new").collect();
    assert_eq!(files.len(), 1);
    let file = files[0].as_ref().expect("entry").path();
    assert_eq!(std::fs::read(file).expect("file"), mail.bytes);
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).expect("tmp").count(), 0);
}

#[tokio::test]
async fn rejects_as_told_and_keeps_nothing_of_it() {
    let sink = MailSink::start(anywhere(), None).await.expect("sink");
    let mailer = client(&sink);
    for (fault, permanent) in [
        (Fault::Reject4xx, false),
        (Fault::RejectData4xx, false),
        (Fault::Reject5xx, true),
        (Fault::RejectData5xx, true),
    ] {
        sink.set_fault(fault);
        let error = send(&mailer, "rejected@banyan.test", "amy@example.test")
            .await
            .expect_err("rejected");
        assert_eq!(
            (error.is_transient(), error.is_permanent()),
            (!permanent, permanent),
            "{fault:?}: {error}"
        );
    }
    sink.set_fault(Fault::None);
    send(&mailer, "after@banyan.test", "amy@example.test")
        .await
        .expect("sent after the faults");
    assert_eq!(sink.count(), 1);
    assert_eq!(
        sink.messages()[0].message_id.as_deref(),
        Some("after@banyan.test")
    );
}

#[tokio::test]
async fn a_fault_of_one_recipient_leaves_the_others_alone() {
    let sink = MailSink::start(anywhere(), None).await.expect("sink");
    let mailer = client(&sink);
    sink.set_fault_for("gone@example.test", Fault::Reject5xx);
    assert!(send(&mailer, "a@banyan.test", "gone@example.test").await.is_err());
    send(&mailer, "b@banyan.test", "here@example.test")
        .await
        .expect("sent");
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn closes_delays_and_loses_the_reply() {
    let sink = MailSink::start(anywhere(), None).await.expect("sink");
    let mailer = client(&sink);

    sink.set_fault(Fault::Close);
    assert!(
        send(&mailer, "closed@banyan.test", "amy@example.test")
            .await
            .is_err()
    );
    assert_eq!(sink.count(), 0);

    sink.set_fault(Fault::LoseReply);
    assert!(
        send(&mailer, "lost@banyan.test", "amy@example.test")
            .await
            .is_err()
    );
    assert_eq!(sink.count(), 1, "kept, though the sender was not told");

    sink.set_fault(Fault::Delay(Duration::from_millis(300)));
    let begun = Instant::now();
    send(&mailer, "late@banyan.test", "amy@example.test")
        .await
        .expect("sent");
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn goes_away_and_comes_back_on_the_same_port() {
    let sink = MailSink::start(anywhere(), None).await.expect("sink");
    let mailer = client(&sink);
    send(&mailer, "before@banyan.test", "amy@example.test")
        .await
        .expect("sent");

    sink.stop_listening().await;
    assert!(
        send(&mailer, "during@banyan.test", "amy@example.test")
            .await
            .is_err()
    );

    let addr = sink.addr();
    sink.resume().await.expect("the same port");
    assert_eq!(sink.addr(), addr);
    send(&client(&sink), "after@banyan.test", "amy@example.test")
        .await
        .expect("sent");
    assert_eq!(sink.count(), 2);
}

#[tokio::test]
async fn a_wait_that_is_not_met_says_what_came() {
    let sink = MailSink::start(anywhere(), None).await.expect("sink");
    let error = sink
        .wait_for(2, Duration::from_millis(50))
        .await
        .expect_err("nothing came");
    assert!(error.to_string().contains("2 messages, got 0"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_a_thousand_mails_from_sixteen_connections() {
    let dir = tempfile::tempdir().expect("directory");
    let sink = MailSink::start(anywhere(), Some(dir.path())).await.expect("sink");
    let mailer = client(&sink);
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..16 {
        let mailer = mailer.clone();
        senders.spawn(async move {
            for number in 0..63 {
                let id = format!("{sender}.{number}@banyan.test");
                send(&mailer, &id, "amy@example.test").await.expect("sent");
            }
        });
    }
    senders.join_all().await;
    let messages = sink.wait_for(16 * 63, LIMIT).await.expect("all");
    let ids: std::collections::HashSet<_> = messages.into_iter().map(|mail| mail.message_id).collect();
    assert_eq!(ids.len(), 16 * 63);
    assert_eq!(
        std::fs::read_dir(dir.path().join("new")).expect("new").count(),
        16 * 63
    );
}
