//! One process of the stack, with a real one: kept while it is right, started again when it died, changed or hangs.

use std::cell::RefCell;
use std::time::Duration;

use banyan_local_stack::ports::free_port;
use banyan_local_stack::process::{Identity, Probe, Spawn, kill9};
use banyan_local_stack::stack::{Outcome, ProcessRecord, Unit};
use nix::sys::signal::Signal;

/// Serves the file `answer` of its directory.
const SERVER: &str = "import http.server, sys; \
    http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()";

struct Bench {
    dir: tempfile::TempDir,
    port: u16,
    record: RefCell<Option<ProcessRecord>>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("answer"), "yes").expect("a writable file");
        Self {
            dir,
            port: free_port().expect("a free port"),
            record: RefCell::new(None),
        }
    }

    fn unit(&self, setting: &str) -> Unit {
        let log = self.dir.path().join("server.log");
        let spawn = Spawn::new("server", "python3", &log).args(["-c", SERVER, &self.port.to_string()]);
        let mut unit = Unit::http("server", self.port, "/answer", spawn.env("SETTING", setting));
        unit.sources.push(self.dir.path().join("answer"));
        unit
    }

    async fn ensure(&self, unit: &Unit) -> Outcome {
        let known = self.record.borrow().clone();
        unit.ensure(known, |record| {
            *self.record.borrow_mut() = Some(record);
            Ok(())
        })
        .await
        .expect("the process starts")
    }

    fn identity(&self) -> Identity {
        self.record
            .borrow()
            .as_ref()
            .expect("it was started")
            .identity
            .clone()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(record) = self.record.borrow().as_ref() {
            record.identity.signal(Signal::SIGKILL);
        }
    }
}

#[tokio::test]
async fn a_process_is_kept_revived_replaced_and_never_confused_with_another() {
    let bench = Bench::new();
    assert_eq!(bench.ensure(&bench.unit("a")).await, Outcome::Started);
    let first = bench.identity();
    assert_eq!(bench.ensure(&bench.unit("a")).await, Outcome::Kept);
    assert_eq!(bench.identity(), first, "the same process still runs");

    kill9("server", &first).await.unwrap();
    assert_eq!(bench.ensure(&bench.unit("a")).await, Outcome::Revived);
    let second = bench.identity();
    assert_ne!(second, first);

    assert_eq!(
        bench.ensure(&bench.unit("b")).await,
        Outcome::Replaced,
        "another setting"
    );
    assert!(!second.is_alive());
    std::fs::write(bench.dir.path().join("answer"), "yes indeed").unwrap();
    assert_eq!(
        bench.ensure(&bench.unit("b")).await,
        Outcome::Replaced,
        "another source"
    );

    // A record whose pid was given to a stranger: the stranger lives on.
    let mut stranger = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let real = bench.identity();
    let stale = Identity {
        pid: stranger.id(),
        ..real.clone()
    };
    bench.record.borrow_mut().as_mut().unwrap().identity = stale;
    kill9("server", &real).await.unwrap();
    assert_eq!(bench.ensure(&bench.unit("b")).await, Outcome::Revived);
    assert!(
        stranger.try_wait().unwrap().is_none(),
        "the stranger was left alone"
    );
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_failed_start_names_the_process_and_quotes_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("x.log");
    std::fs::write(&log, "an ERROR of an earlier run\n").unwrap();
    let port = free_port().unwrap();
    let spawn = Spawn::new("x", "sh", &log).args(["-c", "echo 'fatal: no such database'; exit 3"]);
    let error = Unit::tcp("x", port, spawn)
        .ensure(None, |_| Ok(()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("x ended while starting") && error.contains("fatal: no such database"),
        "{error}"
    );
    assert!(!error.contains("earlier run"), "{error}");

    let spawn = Spawn::new("y", "sh", &log).args(["-c", "echo 'cannot reach the moon'; sleep 60"]);
    let mut unit = Unit::new("y", None, spawn, Probe::Tcp(port), Probe::Alive);
    unit.timeout = Duration::from_millis(400);
    let started = RefCell::new(None);
    let keep = |record: ProcessRecord| {
        *started.borrow_mut() = Some(record.identity);
        Ok(())
    };
    let error = unit.ensure(None, keep).await.unwrap_err().to_string();
    assert!(
        error.contains("y was not ready after") && error.contains("cannot reach the moon"),
        "{error}"
    );
    let started = started.take().unwrap();
    kill9("y", &started).await.unwrap();

    let _listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let spawn = Spawn::new("z", "sleep", &log).args(["60"]);
    let error = Unit::tcp("z", port, spawn)
        .ensure(None, |_| Ok(()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!(
            "port {port} for z is taken by pid {}",
            std::process::id()
        )),
        "{error}"
    );
}

#[tokio::test]
async fn workers_that_outlive_their_killed_master_do_not_keep_its_port() {
    let bench = Bench::new();
    let log = bench.dir.path().join("server.log");
    // A master that only waits for its worker, as gunicorn's does.
    let script = format!("python3 -c \"{SERVER}\" {} & wait", bench.port);
    let unit = Unit::http(
        "server",
        bench.port,
        "/answer",
        Spawn::new("server", "sh", &log).args(["-c", &script]),
    );
    assert_eq!(bench.ensure(&unit).await, Outcome::Started);
    let master = bench.identity();
    let worker = master.descendants().pop().expect("a worker");
    assert!(master.signal(Signal::SIGKILL));
    while master.is_alive() {
        tokio::task::yield_now().await;
    }
    assert!(worker.is_alive());
    assert_eq!(bench.ensure(&unit).await, Outcome::Revived);
    assert!(!worker.is_alive());
    for process in bench.identity().descendants() {
        process.signal(Signal::SIGKILL);
    }
}
