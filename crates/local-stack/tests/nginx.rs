//! A real nginx with the gateway's real template: rendered, tested, started, reloaded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use banyan_local_stack::nginx::{GatewaySettings, Nginx, Split};
use banyan_local_stack::ports::free_port;
use banyan_local_stack::process::{Identity, Probe, kill9, stop, wait_ready};
use nix::sys::signal::Signal;

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nginx")
}

fn settings(port: u16, basis_points: u16) -> GatewaySettings {
    let split = Split {
        name: "notifications".into(),
        prefix: "/api/notifications/".into(),
        rollout: "notifications-v2".into(),
        basis_points,
        upstream: "127.0.0.1:1".into(),
        shared: vec!["/api/notifications/webhook".into()],
    };
    let listen = format!("127.0.0.1:{port}");
    GatewaySettings {
        listen,
        legacy: "127.0.0.1:1".into(),
        splits: vec![split],
        syslog: None,
    }
}

struct KillOnDrop(Identity);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        for process in self.0.descendants().iter().chain([&self.0]) {
            process.signal(Signal::SIGKILL);
        }
    }
}

#[tokio::test]
async fn the_gateway_starts_and_takes_a_new_share_without_a_new_process() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let nginx = Nginx::new(&dir.path().join("nginx"), &templates()).unwrap();
    let port = free_port().unwrap();
    let (first, changed) = nginx.configure(&settings(port, 10_000)).unwrap();
    assert!(changed);
    let (again, changed) = nginx.configure(&settings(port, 10_000)).unwrap();
    assert!(
        again == first && !changed,
        "the same settings are the same generation"
    );

    let log = dir.path().join("gateway.log");
    let process = KillOnDrop(nginx.spawn(&log).start().unwrap());
    let url = format!("http://127.0.0.1:{port}/__gateway/generation");
    wait_ready(
        "gateway",
        &process.0,
        &Probe::Http(url.clone()),
        Duration::from_secs(20),
        &log,
        0,
    )
    .await
    .unwrap();

    let (second, changed) = nginx.configure(&settings(port, 500)).unwrap();
    assert!(changed && second != first);
    nginx
        .reload(&process.0, &url, &second)
        .await
        .expect("the new generation answers");
    assert!(process.0.is_alive(), "reloaded, not restarted");

    stop("gateway", &process.0, Signal::SIGQUIT, Duration::from_secs(10))
        .await
        .unwrap();
    let error = nginx
        .reload(&process.0, &url, &second)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not run"), "{error}");
}

#[tokio::test]
async fn a_configuration_that_nginx_refuses_does_not_replace_the_one_in_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let nginx = Nginx::new(&dir.path().join("nginx"), &templates()).unwrap();
    let port = free_port().unwrap();
    nginx.configure(&settings(port, 0)).unwrap();
    let good = std::fs::read_to_string(dir.path().join("nginx/gateway.conf")).unwrap();
    let bad = GatewaySettings {
        legacy: "127.0.0.1:port".into(),
        ..settings(port, 0)
    };
    let error = nginx.configure(&bad).unwrap_err().to_string();
    assert!(
        error.contains("invalid port") || error.contains("host not found"),
        "{error}"
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("nginx/gateway.conf")).unwrap(),
        good
    );
}

/// `kill9` takes master and workers, so that the port is free at once.
#[tokio::test]
async fn a_killed_gateway_leaves_no_worker_behind() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let nginx = Nginx::new(&dir.path().join("nginx"), &templates()).unwrap();
    let port = free_port().unwrap();
    nginx.configure(&settings(port, 0)).unwrap();
    let log = dir.path().join("gateway.log");
    let process = KillOnDrop(nginx.spawn(&log).start().unwrap());
    wait_ready(
        "gateway",
        &process.0,
        &Probe::Tcp(port),
        Duration::from_secs(20),
        &log,
        0,
    )
    .await
    .unwrap();
    kill9("gateway", &process.0).await.unwrap();
    assert!(banyan_local_stack::ports::is_free(port));
}
