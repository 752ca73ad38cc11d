//! Two servers, and a process between them: all of it is killed, again and again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;

use crate::{OwnPostgres, PostgresRelease, ServiceCommand, ServiceProcess, TcpProxy, dose};

/// What can be killed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Victim {
    /// The process.
    Process,
    /// The first server.
    Source,
    /// The second one.
    Target,
    /// The connections of the process to one of the servers, or to both.
    Connection,
}

/// Two servers of different releases with a proxy before each, and a process that reaches them through these.
#[derive(Debug)]
pub struct CrashStage {
    /// A database on each server.
    pub urls: [String; 2],
    /// The same, through the proxies.
    pub proxied_urls: [String; 2],
    servers: [OwnPostgres; 2],
    proxies: [TcpProxy; 2],
    command: Option<ServiceCommand>,
    process: Option<ServiceProcess>,
    /// What those said that were killed.
    said: Vec<String>,
    kills: BTreeMap<Victim, u32>,
    rng: StdRng,
}

impl CrashStage {
    /// Starts the servers, with an empty database of its name on each.
    pub async fn set(releases: [PostgresRelease; 2], names: [&str; 2], seed: u64) -> Self {
        let (source, target) = tokio::join!(OwnPostgres::start(releases[0]), OwnPostgres::start(releases[1]));
        assert_ne!(source.version().await, target.version().await);
        let urls: [String; 2] = tokio::join!(source.database(names[0]), target.database(names[1])).into();
        let proxies: [TcpProxy; 2] =
            tokio::join!(TcpProxy::before(&urls[0], 5432), TcpProxy::before(&urls[1], 5432)).into();
        Self {
            proxied_urls: [proxies[0].url(&urls[0]), proxies[1].url(&urls[1])],
            urls,
            servers: [source, target],
            proxies,
            command: None,
            process: None,
            said: Vec::new(),
            kills: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Starts the process.
    pub fn start(&mut self, command: ServiceCommand) {
        self.process = Some(command.clone().spawn());
        self.command = Some(command);
    }

    /// So many victims: each kind as often as the others, in any order.
    pub fn deck(&mut self, count: usize) -> Vec<Victim> {
        let kinds = [
            Victim::Source,
            Victim::Target,
            Victim::Connection,
            Victim::Process,
        ];
        let mut deck: Vec<Victim> = kinds.into_iter().cycle().take(count).collect();
        deck.shuffle(&mut self.rng);
        deck
    }

    /// Kills one after the other, each when so many more transactions are `committed`. Before some of them it waits until all is `carried`:
    /// they hit a process that has caught up, the others one that may have much to do.
    pub async fn kill_all(
        &mut self,
        victims: Vec<Victim>,
        committed: &watch::Sender<u64>,
        between: Range<u64>,
        carried: impl AsyncFn(),
    ) {
        for victim in victims {
            if self.rng.random_ratio(1, 4) {
                carried().await;
            }
            let goal = *committed.borrow() + self.rng.random_range(between.clone());
            let mut count = committed.subscribe();
            tokio::time::timeout(dose::patience(), count.wait_for(|count| *count >= goal))
                .await
                .expect("the load goes on")
                .expect("its counter lives");
            self.kill(victim).await;
            println!("{:?}, {} transactions", self.kills, *committed.borrow());
        }
    }

    /// Kills one, and starts it again.
    pub async fn kill(&mut self, victim: Victim) {
        let process = self.process.as_mut().expect("it runs");
        if let Some(status) = process.ended() {
            panic!("the process ended by itself: {status}");
        }
        *self.kills.entry(victim).or_default() += 1;
        match victim {
            Victim::Process => {
                process.kill9().await;
                self.said.push(process.log());
                self.process = self.command.clone().map(ServiceCommand::spawn);
            }
            Victim::Source => {
                self.servers[0].kill9().await;
                self.servers[0].start_again().await;
            }
            Victim::Target => {
                self.servers[1].kill9().await;
                self.servers[1].start_again().await;
            }
            Victim::Connection => {
                let cut = [0..1, 1..2, 0..2][self.rng.random_range(0..3_usize)].clone();
                for proxy in &self.proxies[cut.clone()] {
                    proxy.cut();
                }
                tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..400))).await;
                for proxy in &self.proxies[cut] {
                    proxy.heal();
                }
            }
        }
    }

    /// How often each was.
    pub fn kills(&self) -> &BTreeMap<Victim, u32> {
        &self.kills
    }

    /// Ends the process as asked, and shows what it and those before it called an error.
    pub async fn end(mut self) {
        let process = self.process.take().expect("it runs");
        self.said.push(process.log());
        let errors = self.said.iter().flat_map(|said| said.lines());
        for line in errors.filter(|line| line.contains(r#""level":"ERROR""#)) {
            println!("{line}");
        }
        let status = process.stop(Duration::from_secs(20)).await;
        assert!(status.success(), "{status}");
    }
}

impl Drop for CrashStage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.said.extend(self.process.as_ref().map(ServiceProcess::log));
            println!("what the process said:\n{}", self.said.join("\n-- killed --\n"));
        }
    }
}

/// Whether the server went away, or is not back yet.
pub fn is_of_a_kill(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
        _ => false,
    }
}
