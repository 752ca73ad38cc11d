//! CPU time and memory of processes, from /proc.

use std::ops::Sub;

use anyhow::Context as _;

/// One clock tick of /proc in microseconds: Linux shows 100 ticks a second on every architecture.
const TICK_MICROS: u64 = 10_000;

/// CPU time so far, in microseconds, user and system together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) service: u64,
    pub(crate) postgres: u64,
    pub(crate) broker: u64,
    /// This process: load generator and Stripe.
    pub(crate) bench: u64,
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            service: self.service.saturating_sub(earlier.service),
            postgres: self.postgres.saturating_sub(earlier.postgres),
            broker: self.broker.saturating_sub(earlier.broker),
            bench: self.bench.saturating_sub(earlier.bench),
        }
    }
}

/// Whose time is read; pids. A service that does not run is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processes {
    pub(crate) service: u32,
    pub(crate) postmaster: u32,
    pub(crate) broker: u32,
}

impl Processes {
    pub(crate) fn cpu(self) -> Cpu {
        let all: Vec<Stat> = pids().filter_map(stat).collect();
        let own = |pid: u32| all.iter().find(|stat| stat.pid == pid).map_or(0, |stat| stat.own);
        // With all below it: backends that run, and those that ended, whose time the postmaster was told.
        let family = |pid: u32| {
            let mut members = vec![pid];
            let mut next = 0;
            while let Some(parent) = members.get(next).copied() {
                members.extend(
                    all.iter()
                        .filter(|stat| stat.parent == parent)
                        .map(|stat| stat.pid),
                );
                next += 1;
            }
            let members = all.iter().filter(|stat| members.contains(&stat.pid));
            members.map(|stat| stat.own + stat.reaped).sum::<u64>() * TICK_MICROS
        };
        Cpu {
            service: own(self.service) * TICK_MICROS,
            postgres: family(self.postmaster),
            broker: family(self.broker),
            bench: own(std::process::id()) * TICK_MICROS,
        }
    }
}

/// A line such as `VmHWM` of /proc/<pid>/status, in KiB.
pub(crate) fn memory_kib(pid: u32, line: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let value = value.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse().ok());
    value.with_context(|| format!("no {line} of process {pid}"))
}

/// Ticks of a process; `reaped` are those of children that ended.
struct Stat {
    pid: u32,
    parent: u32,
    own: u64,
    reaped: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything. What follows begins with field 3, the state.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        pid,
        parent: u32::try_from(number(4)?).ok()?,
        own: number(14)? + number(15)?,
        reaped: number(16)? + number(17)?,
    })
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
