//! A process that is never mistaken for another: pid, start time and boot.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Names one run of one process. A pid alone is reused by the kernel; together with its start time and the boot
/// it is unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of /proc/pid/stat).
    pub start_time: u64,
    /// The kernel's id of this boot.
    pub boot_id: String,
}

/// The fields of /proc/pid/stat that matter here.
struct Stat {
    state: char,
    parent: u32,
    session: u32,
    threads: u32,
    start_time: u64,
}

impl Stat {
    /// A killed process is a zombie as soon as its first thread has ended, and holds its ports until the last one has.
    fn runs(&self) -> bool {
        !matches!(self.state, 'Z' | 'X') || self.threads > 1
    }
}

impl Identity {
    /// The identity of a running process; `None` where there is none (a zombie without threads does not run).
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid)?;
        stat.runs().then(|| Self {
            pid,
            start_time: stat.start_time,
            boot_id: boot_id(),
        })
    }

    /// Whether this very process, not a later one with the same pid, still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Whether the process table still names it: a process that ended stays there until its parent has asked how.
    pub(super) fn is_listed(&self) -> bool {
        self.boot_id == boot_id() && stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time)
    }

    /// Whether a SIGSTOP has taken effect. A first thread that has ended stays a zombie, whatever its others do.
    pub(super) fn is_stopped(&self) -> bool {
        stat(self.pid)
            .is_some_and(|stat| stat.start_time == self.start_time && matches!(stat.state, 'T' | 'Z'))
    }

    /// Sends a signal if this very process still runs; says whether it was sent.
    pub fn signal(&self, signal: Signal) -> bool {
        self.is_alive() && send(self.pid, signal)
    }

    /// Every running descendant, children before grandchildren.
    pub fn descendants(&self) -> Vec<Self> {
        let parents: Vec<(u32, u32)> = pids()
            .filter_map(|pid| stat(pid).map(|stat| (pid, stat.parent)))
            .collect();
        let mut found = vec![self.pid];
        let mut next = 0;
        while next < found.len() {
            let parent = found[next];
            found.extend(
                parents
                    .iter()
                    .filter(|(_, its_parent)| *its_parent == parent)
                    .map(|(pid, _)| *pid),
            );
            next += 1;
        }
        found.into_iter().skip(1).filter_map(Self::of).collect()
    }

    /// What is left of the session that this process began: workers that outlived it. The kernel gives no new process a pid
    /// that still names a session, so these are no strangers.
    pub fn orphans(&self) -> Vec<Self> {
        if self.boot_id != boot_id() {
            return Vec::new();
        }
        let ours = |pid: &u32| {
            stat(*pid).is_some_and(|stat| stat.session == self.pid && stat.start_time >= self.start_time)
        };
        pids()
            .filter(|pid| *pid != self.pid)
            .filter(ours)
            .filter_map(Self::of)
            .collect()
    }

    /// Memory of the process and its descendants, in KiB; what they share counts once.
    pub fn memory_kib(&self) -> u64 {
        std::iter::once(self.clone())
            .chain(self.descendants())
            .map(|process| memory_kib(process.pid))
            .sum()
    }

    /// Seconds since the process started.
    pub fn uptime_seconds(&self) -> Option<u64> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let seconds: u64 = uptime.split(['.', ' ']).next()?.parse().ok()?;
        Some(seconds.saturating_sub(self.start_time / TICKS_PER_SECOND))
    }
}

/// USER_HZ, which Linux keeps at 100 towards user space on every architecture Rust's std supports.
const TICKS_PER_SECOND: u64 = 100;

fn send(pid: u32, signal: Signal) -> bool {
    let Ok(raw) = i32::try_from(pid) else { return false };
    match kill(Pid::from_raw(raw), signal) {
        Ok(()) => true,
        Err(Errno::ESRCH) => false,
        Err(error) => {
            tracing::warn!(pid, %signal, %error, "signal not delivered");
            false
        }
    }
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command in parentheses may hold spaces and parentheses itself, so fields count from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        threads: fields.get(17)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

/// The share of memory that is this process's own doing (PSS: shared pages are divided among those who share them), or all
/// of its resident memory where the kernel does not tell.
fn memory_kib(pid: u32) -> u64 {
    let field = |file: &str, name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().split(' ').next()?.parse().ok()
    };
    field("smaps_rollup", "Pss:")
        .or_else(|| field("status", "VmRSS:"))
        .unwrap_or_default()
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_is_parsed() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200";
        let stat = parse_stat(text).unwrap();
        assert_eq!(
            (
                stat.state,
                stat.parent,
                stat.session,
                stat.threads,
                stat.start_time
            ),
            ('S', 7, 42, 1, 987_654)
        );
    }

    #[test]
    fn a_process_runs_until_its_last_thread_has_ended() {
        // The system call ends the first thread alone, which leaves a zombie with a thread.
        let program = "import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print('ready', flush=True)
ctypes.CDLL(None).syscall({'x86_64': 60}.get(platform.machine(), 93), 0)";
        let mut child = std::process::Command::new("python3")
            .args(["-c", program])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(child.stdout.take().unwrap()),
            &mut line,
        )
        .unwrap();
        while stat(child.id()).unwrap().state != 'Z' {
            std::thread::yield_now();
        }
        let process = Identity::of(child.id()).expect("its other thread runs");
        assert!(process.signal(Signal::SIGKILL));
        child.wait().unwrap();
        assert!(!process.is_alive());
    }

    #[test]
    fn a_reused_pid_is_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let real = Identity::of(child.id()).unwrap();
        // What a record says of a process that died and whose pid was given to this one.
        let stale = Identity {
            start_time: real.start_time.wrapping_sub(1),
            ..real.clone()
        };
        assert!(!stale.is_alive());
        assert!(!stale.signal(Signal::SIGKILL));
        assert!(real.is_alive(), "the stranger was left alone");
        let other_boot = Identity {
            boot_id: "another boot".to_owned(),
            ..real.clone()
        };
        assert!(!other_boot.is_alive());
        assert!(real.signal(Signal::SIGKILL));
        child.wait().unwrap();
        assert!(!real.is_alive());
    }

    #[test]
    fn descendants_of_descendants_are_found() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sh -c 'sleep 60 & echo ready; wait' & wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(child.stdout.take().unwrap()),
            &mut line,
        )
        .unwrap();
        let root = Identity::of(child.id()).unwrap();
        let below = root.descendants();
        assert_eq!(below.len(), 2, "{below:?}");
        assert!(root.memory_kib() > 0);
        for process in below.iter().chain([&root]) {
            process.signal(Signal::SIGKILL);
        }
        child.wait().unwrap();
    }
}
