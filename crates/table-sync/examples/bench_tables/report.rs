//! What was measured, as tables or as JSON.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value, json};

pub(crate) struct Report {
    bench: &'static str,
    environment: Vec<(&'static str, String)>,
    figures: Vec<Figures>,
    goals: Vec<Goal>,
}

/// One figure for each run.
struct Figures {
    group: &'static str,
    name: &'static str,
    samples: Vec<u64>,
}

struct Goal {
    name: &'static str,
    reached: String,
    wanted: String,
    met: bool,
}

impl Report {
    pub(crate) const fn new(bench: &'static str, environment: Vec<(&'static str, String)>) -> Self {
        Self {
            bench,
            environment,
            figures: Vec::new(),
            goals: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, group: &'static str, name: &'static str, samples: &[u64]) {
        self.figures.push(Figures {
            group,
            name,
            samples: samples.to_vec(),
        });
    }

    pub(crate) fn at_least(&mut self, name: &'static str, reached: Figure, wanted: Figure) {
        self.goal(name, reached, "at least", wanted, reached.0 >= wanted.0);
    }

    pub(crate) fn at_most(&mut self, name: &'static str, reached: Figure, wanted: Figure) {
        self.goal(name, reached, "at most", wanted, reached.0 <= wanted.0);
    }

    fn goal(&mut self, name: &'static str, reached: Figure, relation: &str, wanted: Figure, met: bool) {
        self.goals.push(Goal {
            name,
            reached: reached.to_string(),
            wanted: format!("{relation} {wanted}"),
            met,
        });
    }

    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.json());
            return;
        }
        let environment: Vec<String> = self
            .environment
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        println!("{}", environment.join(", "));
        let mut table = table(&["", "", "median", "least", "most"]);
        for figures in &self.figures {
            let samples = &figures.samples;
            let text = |figure: Option<&u64>| figure.map_or_else(String::new, u64::to_string);
            table.add_row([
                figures.group.to_owned(),
                figures.name.to_owned(),
                median(samples).to_string(),
                text(samples.iter().min()),
                text(samples.iter().max()),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{table}");
        for goal in &self.goals {
            let verdict = if goal.met { "reached" } else { "missed" };
            println!("{}: {}, goal {}: {verdict}", goal.name, goal.reached, goal.wanted);
        }
    }

    fn json(&self) -> Value {
        let environment: Map<String, Value> = self
            .environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
            .collect();
        let figures = self.figures.iter().map(|figures| {
            json!({
                "group": figures.group, "name": figures.name, "median": median(&figures.samples), "samples": figures.samples,
            })
        });
        let goals = self.goals.iter().map(|goal| {
            json!({"name": goal.name, "reached": goal.reached, "goal": goal.wanted, "goalReached": goal.met})
        });
        json!({
            "bench": self.bench, "environment": environment, "figures": figures.collect::<Vec<_>>(),
            "goals": goals.collect::<Vec<_>>(),
        })
    }
}

/// In thousandths.
#[derive(Clone, Copy)]
pub(crate) struct Figure(u64);

impl Figure {
    pub(crate) const fn whole(number: u64) -> Self {
        Self(number * 1000)
    }

    pub(crate) const fn thousandths(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn ratio(of: u64, to: u64) -> Self {
        Self(of * 1000 / to.max(1))
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(f, "{}", self.0 / 1000)
        } else {
            write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
        }
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(header.to_vec());
    table
}

pub(crate) fn median(figures: &[u64]) -> u64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    let below = sorted.len().saturating_sub(1) / 2;
    let below = sorted.get(below).copied().unwrap_or_default();
    u64::midpoint(percentile(&sorted, 50), below)
}

/// Of sorted figures.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted
        .get(sorted.len() * percent / 100)
        .copied()
        .unwrap_or_default()
}

pub(crate) fn per_second(count: u64, taken: Duration) -> u64 {
    let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX).max(1);
    count * 1_000_000 / micros
}
