//! Medians, ratios, and what they were to be.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use crate::ceiling;
use crate::stage::{POOL, Window};

/// Of the ceiling, in thousandths.
const RATIO_GOAL: u64 = 750;
/// Of the service alone, for one charge, in microseconds.
const CPU_GOAL: u64 = 250;
/// Repetitions a second are to be so many times the charges a second.
const REPLAY_GOAL: u64 = 3;
/// In KiB.
const MEMORY_GOAL: u64 = 60 * 1024;

/// What was measured at one number of connections, a figure a window. CPU is in microseconds for one charge.
pub(crate) struct Rates {
    pub(crate) connections: usize,
    charges: Vec<u64>,
    p50: Vec<u64>,
    p99: Vec<u64>,
    service: Vec<u64>,
    postgres: Vec<u64>,
    broker: Vec<u64>,
    bench: Vec<u64>,
    ceiling: Vec<u64>,
    ceiling_postgres: Vec<u64>,
}

/// A Stripe that takes its time.
pub(crate) struct Slow {
    delay_ms: u64,
    in_flight: usize,
    per_second: u64,
    at_stripe: usize,
    p50: u64,
    p99: u64,
    peak_kib: u64,
}

pub(crate) struct Report {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) rates: [Rates; 3],
    pub(crate) replays_per_second: u64,
    pub(crate) replaying: usize,
    pub(crate) peak_kib: u64,
    pub(crate) slow: Vec<Slow>,
    /// How many were found complete in the database at the end.
    pub(crate) payments: i64,
}

impl Rates {
    pub(crate) fn of(connections: usize) -> Self {
        Self {
            connections,
            charges: Vec::new(),
            p50: Vec::new(),
            p99: Vec::new(),
            service: Vec::new(),
            postgres: Vec::new(),
            broker: Vec::new(),
            bench: Vec::new(),
            ceiling: Vec::new(),
            ceiling_postgres: Vec::new(),
        }
    }

    pub(crate) fn take(&mut self, window: &Window) {
        let load = &window.load;
        let each = |micros: u64| micros / load.answers.max(1);
        self.charges.push(load.per_second());
        self.p50.push(load.percentile(50));
        self.p99.push(load.percentile(99));
        self.service.push(each(window.cpu.service));
        self.postgres.push(each(window.cpu.postgres));
        self.broker.push(each(window.cpu.broker));
        self.bench.push(each(window.cpu.bench));
    }

    pub(crate) fn take_ceiling(&mut self, measured: &ceiling::Measured) {
        self.ceiling.push(measured.per_second);
        self.ceiling_postgres.push(measured.postgres_micros_each);
    }

    /// Thousandths of the ceiling.
    fn ratio(&self) -> u64 {
        median(&self.charges) * 1000 / median(&self.ceiling).max(1)
    }

    fn json(&self) -> Result<Value, serde_json::Error> {
        Ok(json!({
            "connections": self.connections, "chargesPerSecond": median(&self.charges),
            "ceilingPerSecond": median(&self.ceiling), "ratio": number(self.ratio())?,
            "p50Microseconds": median(&self.p50), "p99Microseconds": median(&self.p99),
            "cpuMicrosecondsPerCharge": {
                "service": median(&self.service), "postgres": median(&self.postgres), "broker": median(&self.broker),
                "loadAndStripe": median(&self.bench), "ceilingPostgres": median(&self.ceiling_postgres),
            },
            "samples": {"charges": self.charges, "ceiling": self.ceiling, "serviceCpu": self.service},
        }))
    }
}

impl Slow {
    pub(crate) fn of(delay_ms: u64, in_flight: usize, window: &Window) -> Self {
        Self {
            delay_ms,
            in_flight,
            per_second: window.load.per_second(),
            at_stripe: window.at_stripe,
            p50: window.load.percentile(50),
            p99: window.load.percentile(99),
            peak_kib: window.peak_kib,
        }
    }

    /// What so many make by waiting alone, if each holds a place for as long as Stripe takes.
    fn bound(&self, places: usize) -> u64 {
        places as u64 * 1000 / self.delay_ms
    }

    fn json(&self) -> Value {
        json!({
            "stripeMilliseconds": self.delay_ms, "inFlight": self.in_flight, "pool": POOL,
            "chargesPerSecond": self.per_second, "atStripeAtOnce": self.at_stripe,
            "boundByInFlight": self.bound(self.in_flight), "boundByPool": self.bound(POOL),
            "p50Microseconds": self.p50, "p99Microseconds": self.p99, "peakKib": self.peak_kib,
        })
    }
}

impl Report {
    pub(crate) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let charging = self
            .rates
            .iter()
            .find(|rates| rates.connections == self.replaying);
        let charging = charging.map_or(1, |rates| median(&rates.charges)).max(1);
        let replays = self.replays_per_second * 1000 / charging;
        let service = self
            .rates
            .iter()
            .map(|rates| median(&rates.service))
            .max()
            .unwrap_or_default();
        let least = self.rates.iter().map(Rates::ratio).min().unwrap_or_default();
        let goals = [
            (
                "ratio",
                format!("least ratio {}, goal {}", decimal(least), decimal(RATIO_GOAL)),
                least >= RATIO_GOAL,
            ),
            (
                "cpu",
                format!("most CPU of the service {service} µs a charge, goal below {CPU_GOAL}"),
                service < CPU_GOAL,
            ),
            (
                "replays",
                format!(
                    "{} replays/s, {} times the charges, goal {REPLAY_GOAL}",
                    self.replays_per_second,
                    decimal(replays)
                ),
                replays >= REPLAY_GOAL * 1000,
            ),
            (
                "memory",
                format!("most memory {} KiB, goal below {MEMORY_GOAL}", self.peak_kib),
                self.peak_kib < MEMORY_GOAL,
            ),
        ];
        if as_json {
            let rates = self
                .rates
                .iter()
                .map(Rates::json)
                .collect::<Result<Vec<_>, _>>()?;
            let reached: serde_json::Map<_, _> = goals
                .iter()
                .map(|(name, _, met)| ((*name).to_owned(), (*met).into()))
                .collect();
            let report = json!({
                "bench": "charge", "rounds": self.rounds, "seconds": self.seconds, "fsync": true, "rates": rates,
                "replays": {"perSecond": self.replays_per_second, "connections": self.replaying, "timesCharges": number(replays)?},
                "peakKib": self.peak_kib, "slowStripe": self.slow.iter().map(Slow::json).collect::<Vec<_>>(),
                "payments": self.payments,
                "goal": {
                    "ratio": number(RATIO_GOAL)?, "serviceCpuMicroseconds": CPU_GOAL, "replaysTimesCharges": REPLAY_GOAL,
                    "peakKib": MEMORY_GOAL,
                },
                "goalReached": reached,
            });
            println!("{report}");
            return Ok(());
        }
        println!("{}", self.charges_table());
        println!(
            "CPU is in µs for one charge. PostgreSQL's commits wait for the disk (fsync); the ceiling is pgbench with as many clients."
        );
        println!("{}", self.slow_table());
        for (_, text, met) in goals {
            println!("{text}: {}", if met { "reached" } else { "missed" });
        }
        println!(
            "medians of {} windows of {} s; {} payments were found complete in the end",
            self.rounds, self.seconds, self.payments
        );
        Ok(())
    }

    fn charges_table(&self) -> Table {
        let mut table = table(&[
            "connections",
            "charges/s",
            "ceiling/s",
            "ratio",
            "p50 ms",
            "p99 ms",
            "CPU service",
            "PostgreSQL",
            "broker",
            "load, Stripe",
            "ceiling's PostgreSQL",
        ]);
        for rates in &self.rates {
            table.add_row([
                rates.connections.to_string(),
                median(&rates.charges).to_string(),
                median(&rates.ceiling).to_string(),
                decimal(rates.ratio()),
                decimal(median(&rates.p50)),
                decimal(median(&rates.p99)),
                median(&rates.service).to_string(),
                median(&rates.postgres).to_string(),
                median(&rates.broker).to_string(),
                median(&rates.bench).to_string(),
                median(&rates.ceiling_postgres).to_string(),
            ]);
        }
        right(table)
    }

    fn slow_table(&self) -> Table {
        let mut table = table(&[
            "Stripe takes, ms",
            "in flight",
            "charges/s",
            "in flight / delay",
            "pool / delay",
            "at Stripe at once",
            "p50 ms",
            "p99 ms",
            "memory, KiB",
        ]);
        for slow in &self.slow {
            table.add_row([
                slow.delay_ms.to_string(),
                slow.in_flight.to_string(),
                slow.per_second.to_string(),
                slow.bound(slow.in_flight).to_string(),
                slow.bound(POOL).to_string(),
                slow.at_stripe.to_string(),
                decimal(slow.p50),
                decimal(slow.p99),
                slow.peak_kib.to_string(),
            ]);
        }
        right(table)
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(header.to_vec());
    table
}

fn right(mut table: Table) -> Table {
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(crate) fn median(figures: &[u64]) -> u64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Thousandths as a decimal fraction.
fn decimal(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

fn number(thousandths: u64) -> Result<serde_json::Number, serde_json::Error> {
    decimal(thousandths).parse()
}
