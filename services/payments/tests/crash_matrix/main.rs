//! The service is killed before and after every write, commit, call to Stripe and publish, under load, while its clients retry with
//! their keys. Afterwards no charge is missing and none is there twice: to the cent, here, at Stripe, in the ledger and at the broker.
//!
//! Not in it are steps that only a day's wait, a webhook or another job takes: giving up what Stripe has forgotten, disputes,
//! payouts, renewals, the tie-out.

mod books;
mod client;
mod load;
mod service;
mod sites;
mod source;
mod stage;

use std::collections::BTreeMap;
use std::time::Instant;

use banyan_test_support::dose::count;

use crate::load::Load;
use crate::service::Service;
use crate::sites::{Kill, SITES, kills};
use crate::stage::Stage;

/// Every site once, before or after; `cargo xtask soak crash_matrix` comes by all of them again and again.
fn wanted() -> usize {
    count(SITES.len(), 1_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_matrix_no_charge_is_lost_or_made_twice_wherever_the_service_dies() {
    let stage = Stage::set().await;
    let mut service = Service::new(&stage);
    let load = Load::start(&stage, service.address());
    let began = Instant::now();
    let mut died: BTreeMap<&str, usize> = BTreeMap::new();
    for Kill { site, point, skip } in kills(wanted()) {
        let deaths = if let Some(left_by) = site.left_by {
            let hold = |holds| load.hold(holds);
            service.dies_reconciling(&point, left_by, hold).await
        } else {
            service.dies_at(&point, skip).await;
            1
        };
        *died.entry(site.group()).or_default() += deaths;
    }
    let (killing, recovery) = (began.elapsed(), Instant::now());
    service.revives().await;
    let done = load.finish().await;
    stage.nothing_is_undecided().await;
    let again = done.ask_everything_again(&stage, service.address()).await;
    let log = service.stops().await;
    let books = stage.books(&done).await;
    println!(
        "{} kills {died:?} in {killing:.0?}, then {:.0?}; {}; {again} replays; {books}",
        died.values().sum::<usize>(),
        recovery.elapsed(),
        done.summary(),
    );
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn every_fail_point_of_the_sources_is_in_the_matrix() {
    assert_eq!(source::named(), sites::named());
}

#[test]
fn a_build_without_tests_has_no_fail_points() {
    let tree = source::dependencies();
    assert!(tree.contains("banyan-fail-points v"), "{tree}");
    assert!(
        !tree.contains("\nfail v"),
        "something enables banyan-fail-points outside of tests"
    );
}
