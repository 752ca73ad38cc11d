//! Everything is killed, again and again, while both sides are written: nothing is lost, and nothing is made up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use banyan_table_sync::Direction::Back;
use banyan_test_support::PostgresRelease::{self, Eighteen, Installed};
use banyan_test_support::{OwnPostgres, ServiceCommand, ServiceProcess, TcpProxy, dose, example, wait_until};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;

use crate::company::{Company, MAPPING, Size, patience, rows};
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

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Victim {
    Sync,
    Source,
    Target,
    Connection,
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
    let (committed, mut rng) = (watch::Sender::new(0), StdRng::seed_from_u64(SEED));
    let mut stage = Stage::set(source, target, size).await;
    stage.start_sync();
    let legacy = Load::start(Side::Legacy, &stage.company.legacy, pace, SEED, &committed);
    stage.a_part_is_copied().await;
    stage.kill(Victim::Sync, &mut rng).await;
    let mut victims = deck(dose::count(6, 100) - 1, &mut rng);
    let later = victims.split_off(victims.len() / 5);
    stage.kill_all(victims, &mut rng, &committed).await;
    // What the new side writes is carried from the moment that the way back is there; nobody is served by it before.
    stage.company.begun(Back).await;
    let new = Load::start(Side::New, &stage.company.new, pace, SEED, &committed);
    stage.kill_all(later, &mut rng, &committed).await;
    let (legacy, new) = (legacy.stop().await, new.stop().await);
    let loaded = began.elapsed();
    stage.company.settled().await;
    stage.company.assert_nothing_held().await;
    let settled = began.elapsed();
    assert_eq!(stage.company.differences().await, []);
    let equal = stage.company.assert_equal().await;
    println!(
        "{source:?} to {target:?}: {equal} rows equal after {:?}; {:?} under load, settled {:?} later; killed {:?}; legacy side {legacy:?}; \
         new side {new:?}",
        began.elapsed(),
        loaded,
        settled.saturating_sub(loaded),
        stage.kills,
    );
    for written in [legacy, new] {
        assert!(written.large > 0 && written.transactions > 100, "{written:?}");
    }
    stage.end().await;
}

/// Each kind as often as the others, in any order.
fn deck(count: usize, rng: &mut StdRng) -> Vec<Victim> {
    let kinds = [Victim::Source, Victim::Target, Victim::Connection, Victim::Sync];
    let mut deck: Vec<Victim> = kinds.into_iter().cycle().take(count).collect();
    deck.shuffle(rng);
    deck
}

/// Two servers with a proxy before each, and the sync between the proxies.
struct Stage {
    source: OwnPostgres,
    target: OwnPostgres,
    source_proxy: TcpProxy,
    target_proxy: TcpProxy,
    company: Company,
    command: ServiceCommand,
    sync: Option<ServiceProcess>,
    /// What those said that were killed.
    said: Vec<String>,
    kills: BTreeMap<Victim, u32>,
    _mapping: tempfile::NamedTempFile,
}

impl Stage {
    async fn set(source: PostgresRelease, target: PostgresRelease, size: Size) -> Self {
        let (source, target) = tokio::join!(OwnPostgres::start(source), OwnPostgres::start(target));
        assert_ne!(source.version().await, target.version().await);
        let (legacy, new) = tokio::join!(source.database("legacy"), target.database("new"));
        let (source_proxy, target_proxy) =
            tokio::join!(TcpProxy::before(&legacy, 5432), TcpProxy::before(&new, 5432));
        let mapping = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(mapping.path(), MAPPING).expect("a mapping");
        let command = ServiceCommand::new(example("keep_in_step"))
            .env("SOURCE_URL", source_proxy.url(&legacy))
            .env("TARGET_URL", target_proxy.url(&new))
            .env("COPY_CHUNK_ROWS", dose::dose(500, 10_000).to_string())
            .env("COPY_ROWS_PER_SECOND", dose::dose(4_000, 40_000).to_string());
        let company = Company::found("company", legacy, new, size).await;
        let arguments =
            |what: &str| ["company", what, &mapping.path().display().to_string()].map(str::to_owned);
        let check = command.clone().args(arguments("check")).output().await;
        assert!(
            check.status.success(),
            "{}",
            String::from_utf8_lossy(&check.stdout)
        );
        Self {
            source,
            target,
            source_proxy,
            target_proxy,
            company,
            command: command.args(arguments("both")),
            sync: None,
            said: Vec::new(),
            kills: BTreeMap::new(),
            _mapping: mapping,
        }
    }

    fn start_sync(&mut self) {
        self.sync = Some(self.command.clone().spawn());
    }

    /// Waits until the copy is in the middle.
    async fn a_part_is_copied(&self) {
        let _ = wait_until(
            "a part of the copy",
            patience(),
            async || {
                let mut session = PgConnection::connect(&self.company.new).await?;
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

    /// One after the other, at moments that the load gives. Some of the kills hit a sync that has caught up, the others one that may have
    /// much to do.
    async fn kill_all(&mut self, victims: Vec<Victim>, rng: &mut StdRng, committed: &watch::Sender<u64>) {
        for victim in victims {
            if rng.random_ratio(1, 4) {
                self.company.carried().await;
            }
            let pause = rng.random_range(dose::dose(20, 100) as u64..dose::dose(150, 1_500) as u64);
            let goal = *committed.borrow() + pause;
            let mut count = committed.subscribe();
            tokio::time::timeout(patience(), count.wait_for(|count| *count >= goal))
                .await
                .expect("the load goes on")
                .expect("its counter lives");
            self.kill(victim, rng).await;
            println!("{:?}, {} transactions", self.kills, *committed.borrow());
        }
    }

    /// Kills one, and starts it again.
    async fn kill(&mut self, victim: Victim, rng: &mut StdRng) {
        let sync = self.sync.as_mut().expect("it runs");
        if let Some(status) = sync.ended() {
            panic!("the sync ended by itself: {status}");
        }
        *self.kills.entry(victim).or_default() += 1;
        match victim {
            Victim::Sync => {
                sync.kill9().await;
                self.said.push(sync.log());
                self.start_sync();
            }
            Victim::Source => {
                self.source.kill9().await;
                self.source.start_again().await;
            }
            Victim::Target => {
                self.target.kill9().await;
                self.target.start_again().await;
            }
            Victim::Connection => {
                let (source, target) = (&self.source_proxy, &self.target_proxy);
                let cut = match rng.random_range(0..3) {
                    0 => vec![source],
                    1 => vec![target],
                    _ => vec![source, target],
                };
                for proxy in &cut {
                    proxy.cut();
                }
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
                for proxy in &cut {
                    proxy.heal();
                }
            }
        }
    }

    /// Ends the sync as asked.
    async fn end(mut self) {
        let sync = self.sync.take().expect("it runs");
        let status = sync.stop(Duration::from_secs(20)).await;
        assert!(status.success(), "{status}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.said.extend(self.sync.as_ref().map(ServiceProcess::log));
            println!("what the sync said:\n{}", self.said.join("\n-- killed --\n"));
        }
    }
}
