//! The binary.

use banyan_test_support::{ServiceCommand, TestDb};

fn command() -> ServiceCommand {
    ServiceCommand::new(env!("CARGO_BIN_EXE_notifications"))
        .config("database.url", "postgres://nobody@127.0.0.1:1/none")
        .config("broker.url", "amqp://nobody@127.0.0.1:1/none")
}

#[tokio::test]
async fn an_unknown_key_is_named_with_its_origin() {
    let output = command()
        .config("email.smtp.hots", "mail.example.org")
        .args(["config"])
        .output()
        .await;
    assert_eq!(output.status.code(), Some(78));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("email.smtp.hots") && error.contains("BANYAN_NOTIFICATIONS__EMAIL__SMTP__HOTS"),
        "{error}"
    );
}

#[tokio::test]
async fn secrets_are_not_printed() {
    let output = command()
        .config("email.smtp.password", "hunter2")
        .config("sms.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .args(["config"])
        .output()
        .await;
    assert!(output.status.success());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        !printed.contains("hunter2") && !printed.contains("MfKQ9r8G"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_template_is_checked_listed_and_changed_from_the_command_line() {
    let db = TestDb::create(Some(&notifications::migrator())).await;
    let run = async |args: &[&str]| {
        let args = args.iter().map(|arg| (*arg).to_owned());
        command()
            .config("database.url", db.url.clone())
            .args(args)
            .output()
            .await
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    for (part, text) in [
        ("subject.txt", "Paid"),
        ("body.html", "<p>\n{{ payment.nonsense }}</p>"),
        ("body.txt", "Paid"),
        ("sms.txt", "Paid"),
    ] {
        std::fs::write(folder.path().join(part), text).expect("a file");
    }
    let refused = run(&["template", "set", "payment-completed", "en", &path]).await;
    assert!(!refused.status.success());
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        error.contains("template payment-completed (en), body.html line 2"),
        "{error}"
    );

    std::fs::write(folder.path().join("body.html"), "<p>{{ payment.amount }}</p>").expect("a file");
    let set = run(&["template", "set", "payment-completed", "en", &path]).await;
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    let listed = run(&["template", "list"]).await;
    assert!(listed.status.success());
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.contains("payment-completed") && listed.contains("ok"),
        "{listed}"
    );
}
