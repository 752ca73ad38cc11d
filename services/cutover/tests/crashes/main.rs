//! A company's payments go from the monolith's own tables to the service's and stay in step both ways, carried by the real process, while
//! both applications write and everything is killed, again and again: nothing is lost, and nothing is made up.
//!
//! - `stage`: the servers, the process, and what an operator does.
//! - `load`: what writes; `application.sql` and `customers.sql` have what both applications do, `monolith.sql` and `service.sql` what only one
//!   does so.
//! - `compared`: what has to be equal in the end, in plain SQL.

mod compared;
mod load;
mod stage;

use std::time::{Duration, Instant};

use banyan_test_support::PostgresRelease::{self, Eighteen, Installed};
use banyan_test_support::{Company, Victim, dose};
use tokio::sync::watch;

use crate::load::{Load, Pace, Side};
use crate::stage::Stage;

const SEED: u64 = 20_261_123;

#[tokio::test(flavor = "multi_thread")]
async fn payments_survive_every_kill_from_the_installed_postgres_to_18() {
    payments_survive(Installed, Eighteen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_survive_every_kill_from_18_to_the_installed_postgres() {
    payments_survive(Eighteen, Installed).await;
}

async fn payments_survive(source: PostgresRelease, target: PostgresRelease) {
    let users = Company::SMALL.users.max(rows(0, 100_000));
    let company = Company {
        users,
        payments: Company::SMALL.payments.max(rows(0, 1_000_000)),
    };
    let pace = Pace {
        pause: Duration::from_millis(dose::dose(2, 20) as u64),
        large: dose::dose(300, 100_000),
        large_each: dose::dose(100, 15_000) as u64,
        users,
    };
    let between = dose::dose(100, 100) as u64..dose::dose(500, 1_500) as u64;
    let mut stage = Stage::set(source, target, company).await;
    let (began, committed) = (Instant::now(), watch::Sender::new(0));
    let [legacy, payments] = stage.crash.urls.clone();
    stage.serve();
    let monolith = Load::start(Side::Monolith, &legacy, pace, SEED, &committed).await;
    stage.order("forward").await;
    stage.a_part_is_copied().await;
    stage.crash.kill(Victim::Process).await;
    let mut victims = stage.crash.deck(dose::count(6, 100) - 1);
    let later = victims.split_off(victims.len() / 5);
    stage.kill_all(victims, &committed, between.clone()).await;
    stage.all_is_copied().await;
    // What the service writes is carried from the moment that the way back is there; nobody is served by it before.
    stage.order("both").await;
    stage.way_back_is_there().await;
    let service = Load::start(Side::Service, &payments, pace, SEED, &committed).await;
    stage.kill_all(later, &committed, between).await;
    monolith.has_written_each_table().await;
    service.has_written_each_table().await;
    let (monolith, service) = (monolith.stop().await, service.stop().await);
    let loaded = began.elapsed();
    stage.settled().await;
    stage.assert_nothing_held().await;
    let settled = began.elapsed();
    stage.assert_valid().await;
    let equal = compared::assert_equal(&legacy, &payments).await;
    compared::assert_balanced(&legacy, &payments).await;
    println!(
        "{source:?} to {target:?}: {equal} rows equal after {:?}; {loaded:?} under load, settled {:?} later; killed {:?}; the monolith \
         {monolith:?}; the service {service:?}",
        began.elapsed(),
        settled.saturating_sub(loaded),
        stage.crash.kills(),
    );
    for written in [&monolith, &service] {
        assert!(written.large > 0, "{written:?}");
        assert_eq!(written.turned_away, [""; 0]);
    }
    stage.crash.end().await;
}

/// As many as the dose has.
fn rows(small: usize, full: usize) -> u32 {
    u32::try_from(dose::dose(small, full)).expect("not that many")
}
