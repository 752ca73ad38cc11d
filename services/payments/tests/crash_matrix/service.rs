//! The service as a process that dies again and again.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use banyan_test_support::{ServiceCommand, ServiceProcess};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::stage::Stage;

/// By then the load has come by any fail-point.
const BOUND: Duration = Duration::from_mins(1);

const TRIES: usize = 10;

const SIGKILL: i32 = 9;

/// Of a log of thousands of lines what came last.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// Where the service is to be found, while it lives.
pub(crate) type Address = watch::Receiver<Option<SocketAddr>>;

pub(crate) struct Service<'a> {
    stage: &'a Stage,
    command: ServiceCommand,
    running: Option<ServiceProcess>,
    address: watch::Sender<Option<SocketAddr>>,
}

impl<'a> Service<'a> {
    pub(crate) fn new(stage: &'a Stage) -> Self {
        Self {
            stage,
            command: stage.command(),
            running: None,
            address: watch::Sender::new(None),
        }
    }

    pub(crate) fn address(&self) -> Address {
        self.address.subscribe()
    }

    /// Dies at this fail-point, the first time that it comes by after it did so `skip` times.
    pub(crate) async fn dies_at(&mut self, point: &str, skip: usize) {
        let too_long = tokio::time::sleep(BOUND);
        let died = self.would_die_at(point, skip, || (), too_long).await;
        assert!(died, "nobody came by {point} within {BOUND:?}");
    }

    /// Dies at `left_by` and leaves something undecided to the next process, whose reconciler then dies at `point`; how often it died in
    /// all. From the first death on, `hold` has the clients leave it to the reconciler.
    pub(crate) async fn dies_reconciling(
        &mut self,
        point: &str,
        left_by: &str,
        hold: impl Fn(bool),
    ) -> usize {
        for tries in 1..=TRIES {
            let too_long = tokio::time::sleep(BOUND);
            // What comes by may be the repetition of something that an earlier process finished, and leave nothing undecided. The same
            // client may be the first every time, so each try lets more of them have their answers before.
            let up = || hold(true);
            let died = self.would_die_at(left_by, tries - 1, up, too_long).await;
            assert!(died, "nobody came by {left_by} within {BOUND:?}");
            let nothing_left = self.stage.nothing_is_left_from_before(OffsetDateTime::now_utc());
            let died = self.would_die_at(point, 0, || (), nothing_left).await;
            hold(false);
            if died {
                return tries + 1;
            }
        }
        panic!("the reconciler did not come by {point} in {TRIES} tries");
    }

    /// Whether it dies there before `end`; if not, it is killed. `up` is called before the clients find it.
    async fn would_die_at(
        &mut self,
        point: &str,
        skip: usize,
        up: impl FnOnce(),
        end: impl Future<Output = ()>,
    ) -> bool {
        let action = if skip == 0 {
            "return".to_owned()
        } else {
            format!("{skip}*off->return")
        };
        let armed = format!("{point}={action}");
        let mut process = self.command.clone().env("FAILPOINTS", armed).spawn();
        let address = process.listens().await;
        up();
        self.address.send_replace(address);
        let exit = tokio::select! {
            biased;
            status = process.exit(BOUND * 2) => Some(status),
            () = end => None,
        };
        self.address.send_replace(None);
        if exit.is_none() {
            process.kill9().await;
            process.exit(BOUND).await;
        }
        let log = process.log();
        assert!(!log.contains("panicked"), "{log}");
        let died_there = log.contains(&format!("killed at {point}"));
        if let Some(status) = exit {
            assert!(
                died_there && status.signal() == Some(SIGKILL),
                "{status} instead of a death at {point}; the log ends:\n{}",
                last_lines(&log)
            );
        }
        died_there
    }

    /// Lives on.
    pub(crate) async fn revives(&mut self) {
        let process = self.command.clone().spawn();
        process.ready().await;
        self.address.send_replace(process.listens().await);
        self.running = Some(process);
    }

    /// Ends as asked; its log.
    pub(crate) async fn stops(&mut self) -> String {
        let mut process = self.running.take().expect("it runs");
        process.terminate();
        let status = process.exit(BOUND).await;
        let log = process.log();
        assert!(status.success(), "{status}; the log was:\n{log}");
        log
    }
}
