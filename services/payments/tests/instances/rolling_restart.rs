//! One instance after the other is exchanged under load: readiness says no, requests end, then the process does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, order};

const CLIENTS: i64 = 6;
/// How often the balancer asks whether an instance is ready; well below the grace of the instances.
const PROBE: Duration = Duration::from_millis(50);

/// What stands before the instances: it asks each of them by itself whether it is ready, as Kubernetes does.
#[derive(Default)]
struct Balancer {
    known: Mutex<BTreeSet<String>>,
    ready: Mutex<BTreeSet<String>>,
}

impl Balancer {
    fn add(&self, url: String) {
        lock(&self.known).insert(url);
    }

    fn remove(&self, url: &str) {
        lock(&self.known).remove(url);
        lock(&self.ready).remove(url);
    }

    async fn probe(&self, stage: &Stage) {
        let known = lock(&self.known).clone();
        let probes = known.into_iter().map(async |url| {
            if stage.is_ready(&url).await {
                lock(&self.ready).insert(url);
            } else {
                lock(&self.ready).remove(&url);
            }
        });
        futures::future::join_all(probes).await;
    }

    fn pick(&self, turn: i64) -> String {
        let ready = lock(&self.ready);
        let turn = usize::try_from(turn).unwrap_or_default();
        ready.iter().nth(turn % ready.len()).unwrap().clone()
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_request_and_loses_none() {
    let stage = Stage::start().await;
    let balancer = Balancer::default();
    let (one, other) = tokio::join!(stage.instance(), stage.instance());
    balancer.add(one.url(""));
    balancer.add(other.url(""));
    balancer.probe(&stage).await;
    let (charged, reads) = (AtomicI64::new(0), AtomicI64::new(0));
    let end = CancellationToken::new();

    let probing = async {
        while !end.is_cancelled() {
            balancer.probe(&stage).await;
            tokio::time::sleep(PROBE).await;
        }
    };
    let client = async |user_id: i64| {
        let mut turn = user_id;
        while !end.is_cancelled() {
            let url = balancer.pick(turn);
            let charge = format!("{url}/api/payments/charge");
            let paid = stage.once(Method::POST, &charge, user_id, Some(&order())).await;
            assert_eq!(paid.unwrap(), 201, "{url}");
            charged.fetch_add(1, Ordering::Relaxed);
            let url = balancer.pick(turn + 1);
            let read = stage
                .once(Method::GET, &format!("{url}/api/payments/"), user_id, None)
                .await;
            assert_eq!(read.unwrap(), 200, "{url}");
            reads.fetch_add(1, Ordering::Relaxed);
            turn += 1;
        }
    };
    let roll = async {
        let mut running = Vec::new();
        for mut old in [one, other] {
            let before = charged.load(Ordering::Relaxed);
            let new = stage.instance().await;
            balancer.add(new.url(""));
            let url = old.url("");
            old.terminate();
            assert!(old.exit(Duration::from_secs(40)).await.success());
            balancer.remove(&url);
            assert!(charged.load(Ordering::Relaxed) > before, "there was no load");
            running.push(new);
        }
        end.cancel();
        running
    };
    let clients = futures::future::join_all((1..=CLIENTS).map(client));
    let ((), _, _running) = tokio::join!(probing, clients, roll);

    let charged = charged.load(Ordering::Relaxed);
    println!(
        "{charged} charges and {} reads during two restarts",
        reads.load(Ordering::Relaxed)
    );
    stage.assert_charged(charged).await;
}
