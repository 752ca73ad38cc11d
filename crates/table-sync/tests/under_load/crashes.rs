//! Everything is killed, again and again, while both sides are written: nothing is lost, and nothing is made up.

use std::time::{Duration, Instant};

use banyan_table_sync::Direction::Back;
use banyan_test_support::PostgresRelease::{self, Eighteen, Installed};
use banyan_test_support::{CrashStage, ServiceCommand, Victim, dose, example, wait_until};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;

use crate::company::{Company, MAPPING, Size, rows};
use crate::load::{Load, Pace, Side};

const SEED: u64 = 20_260_131;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_from_the_installed_postgres_to_18() {
    crashes(Installed, Eighteen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_from_18_to_the_installed_postgres() {
    crashes(Eighteen, Installed).await;
}

async fn crashes(source: PostgresRelease, target: PostgresRelease) {
    let began = Instant::now();
    let size = Size {
        customers: rows(400, 100_000),
        payments: 10,
    };
    let pace = Pace {
        pause: Duration::from_millis(dose::dose(2, 20) as u64),
        large: rows(300, 110_000),
        large_each: dose::dose(60, 15_000) as u64,
        customers: size.customers,
    };
    let between = dose::dose(20, 100) as u64..dose::dose(150, 1_500) as u64;
    let committed = watch::Sender::new(0);
    let mut stage = CrashStage::set([source, target], ["legacy", "new"], SEED).await;
    let [legacy, new] = stage.urls.clone();
    let company = Company::found("company", legacy, new, size).await;
    let mapping = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(mapping.path(), MAPPING).expect("a mapping");
    let command = command(&stage);
    let arguments = |what: &str| ["company", what, &mapping.path().display().to_string()].map(str::to_owned);
    let check = command.clone().args(arguments("check")).output().await;
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
    stage.start(command.args(arguments("both")));
    let legacy = Load::start(Side::Legacy, &company.legacy, pace, SEED, &committed);
    a_part_is_copied(&company).await;
    stage.kill(Victim::Process).await;
    let mut victims = stage.deck(dose::count(6, 100) - 1);
    let later = victims.split_off(victims.len() / 5);
    let carried = async || company.carried().await;
    stage
        .kill_all(victims, &committed, between.clone(), carried)
        .await;
    // What the new side writes is carried from the moment that the way back is there; nobody is served by it before.
    company.begun(Back).await;
    let new = Load::start(Side::New, &company.new, pace, SEED, &committed);
    stage.kill_all(later, &committed, between, carried).await;
    let (legacy, new) = (legacy.stop().await, new.stop().await);
    let loaded = began.elapsed();
    company.settled().await;
    company.assert_nothing_held().await;
    let settled = began.elapsed();
    assert_eq!(company.differences().await, []);
    let equal = company.assert_equal().await;
    println!(
        "{source:?} to {target:?}: {equal} rows equal after {:?}; {loaded:?} under load, settled {:?} later; killed {:?}; legacy side \
         {legacy:?}; new side {new:?}",
        began.elapsed(),
        settled.saturating_sub(loaded),
        stage.kills(),
    );
    for written in [legacy, new] {
        assert!(written.large > 0 && written.transactions > 100, "{written:?}");
    }
    stage.end().await;
}

fn command(stage: &CrashStage) -> ServiceCommand {
    let [source, target] = &stage.proxied_urls;
    ServiceCommand::new(example("keep_in_step"))
        .env("SOURCE_URL", source)
        .env("TARGET_URL", target)
        .env("COPY_CHUNK_ROWS", dose::dose(500, 10_000).to_string())
        .env("COPY_ROWS_PER_SECOND", dose::dose(4_000, 40_000).to_string())
}

/// Waits until the copy is in the middle.
async fn a_part_is_copied(company: &Company) {
    let _ = wait_until(
        "a part of the copy",
        dose::patience(),
        async || {
            let mut session = PgConnection::connect(&company.new).await?;
            sqlx::query_as::<_, (i64, i64)>(
                "SELECT count(*), count(done_at) FROM table_sync.chunk WHERE name = 'payment'",
            )
            .fetch_one(&mut session)
            .await
        },
        |found| found.as_ref().is_ok_and(|(all, done)| *done > 0 && done < all),
    )
    .await;
}
