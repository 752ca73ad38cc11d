//! The kit's command line as a real process: the example `greeter`.

use std::path::PathBuf;
use std::time::Duration;

use banyan_test_support::{ServiceCommand, ServiceProcess, TestDb, TestKeys, TestVhost, client, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The example, which cargo builds together with the tests.
fn greeter() -> ServiceCommand {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path: PathBuf = path.join("examples/greeter");
    assert!(
        path.is_file(),
        "{} is not there: build it with --examples",
        path.display()
    );
    ServiceCommand::new(path)
        .config("database.url", "postgres://greeter:s3cret@127.0.0.1:1/greeter")
        .config("broker.url", "amqp://greeter:s3cret@127.0.0.1:1/greeter")
}

#[tokio::test]
async fn a_bad_configuration_ends_with_78_and_names_key_and_place() {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), "[greeting]\nwrod = \"hi\"\n").unwrap();
    let path = file.path().to_str().unwrap();
    for verb in ["serve", "migrate", "config"] {
        let output = greeter().args([verb, "--config", path]).output().await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{verb}: {stderr}");
        assert!(
            stderr.contains("`greeting.wrod`") && stderr.contains(path),
            "{verb}: {stderr}"
        );
    }
    let output = greeter()
        .config("http.listen", "everywhere")
        .args(["config"])
        .output()
        .await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert!(
        stderr.contains("`http.listen`") && stderr.contains("BANYAN_GREETER__HTTP__LISTEN"),
        "{stderr}"
    );
}

#[tokio::test]
async fn config_prints_what_is_in_force_without_secrets() {
    let output = greeter()
        .config("greeting.word", "servus")
        .args(["config"])
        .output()
        .await;
    assert!(output.status.success());
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("word = \"servus\" # environment variable BANYAN_GREETER__GREETING__WORD"),
        "{stdout}"
    );
    assert!(
        stdout.contains("postgres://greeter:[redacted]@127.0.0.1:1/greeter"),
        "{stdout}"
    );
    assert!(!stdout.contains("s3cret"), "{stdout}");
}

#[tokio::test]
async fn the_other_verbs_need_no_configuration() {
    let bare = || {
        ServiceCommand::new(
            std::env::current_exe()
                .unwrap()
                .parent()
                .unwrap()
                .join("../examples/greeter"),
        )
    };
    let document: Value = serde_json::from_slice(&bare().args(["openapi"]).output().await.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(
        document["paths"]["/api/greeter/hello"]["get"]["responses"]["401"].is_object(),
        "{document}"
    );
    assert!(
        document["components"]["schemas"]["Problem"].is_object(),
        "{document}"
    );

    let completion = bare().args(["completion", "bash"]).output().await;
    assert!(String::from_utf8_lossy(&completion.stdout).contains("greeter"));

    let help = bare().args(["serve", "--help"]).output().await;
    let help = String::from_utf8(help.stdout).unwrap();
    for role in ["http", "consumer", "relay", "jobs"] {
        assert!(help.contains(&format!("- {role}:")), "{help}");
    }
    for wrong in [vec![], vec!["sing"], vec!["serve", "--only", "nothing"]] {
        assert_eq!(
            bare().args(wrong.clone()).output().await.status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = greeter().config("http.listen", &address).output().await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("http.listen"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_problem_tells_the_trace_that_the_request_came_with() {
    let service = greeter().start().await;
    let answer = client()
        .get(service.url("/nothing"))
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .send()
        .await
        .unwrap();
    let document: Value = answer.json().await.unwrap();
    assert_eq!(document["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let own: Value = client()
        .get(service.url("/nothing"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(own["traceId"].as_str().map(str::len), Some(32), "{own}");
}

/// Waits until the service works on one request of its API.
async fn in_flight(service: &ServiceProcess) {
    let metrics = async || {
        client()
            .get(service.url("/metrics"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    wait_until("a request in flight", Duration::from_secs(5), metrics, |text| {
        text.lines().any(|line| line == "http_server_active_requests 1")
    })
    .await;
}

#[tokio::test]
async fn a_signal_lets_the_request_in_flight_finish() {
    let keys = TestKeys::start().await;
    let mut service = greeter().config("auth.jwks_url", keys.jwks_url()).start().await;
    let slow = client()
        .get(service.url("/api/greeter/hello?after_ms=1500"))
        .bearer_auth(keys.token(7))
        .send();
    let slow = tokio::spawn(slow);
    in_flight(&service).await;
    service.terminate();
    service.wait_log("stopping", Duration::from_secs(5)).await;
    let answer: Value = slow.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["userId"], 7);
    assert!(service.exit(Duration::from_secs(10)).await.success());
    assert!(
        service.log().contains("\"message\":\"stopped\""),
        "{}",
        service.log()
    );
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let keys = TestKeys::start().await;
    let mut service = greeter()
        .config("auth.jwks_url", keys.jwks_url())
        .config("shutdown.drain_seconds", "600")
        .start()
        .await;
    let slow = client()
        .get(service.url("/api/greeter/hello?after_ms=25000"))
        .bearer_auth(keys.token(7))
        .send();
    let slow = tokio::spawn(slow);
    in_flight(&service).await;
    service.signal(Signal::SIGINT);
    service.wait_log("stopping", Duration::from_secs(5)).await;
    service.terminate();
    let status = service.exit(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(1), "not a clean stop");
    assert!(slow.await.unwrap().is_err(), "the request was cut off");
}

#[tokio::test]
async fn it_is_ready_soon_and_small() {
    let (database, vhost) = tokio::join!(TestDb::create(None), TestVhost::create());
    let service = greeter()
        .config("database.url", &database.url)
        .config("broker.url", &vhost.amqp_url)
        .start()
        .await;
    service.ready().await;
    let (age, resident) = (service.age(), service.resident_bytes());
    println!("ready after {age:?}, {} kB resident", resident / 1024);
    assert!(age < Duration::from_secs(5), "ready after {age:?}");
    assert!(resident < 40 * 1024 * 1024, "{resident} bytes resident");
}
