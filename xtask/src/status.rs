//! `cargo xtask status`

use std::process::ExitCode;

use banyan_local_stack::stack::{self, Health, ProcessStatus};

use crate::root::layout;
use crate::table::table;

/// Prints what runs.
pub(crate) fn status(json: bool) -> anyhow::Result<ExitCode> {
    let processes = stack::status(&layout()?)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&processes)?);
    } else {
        let mut table = table(&["PROCESS", "STATE", "PID", "PORT", "UPTIME", "MEMORY", "URL"]);
        for process in &processes {
            table.add_row(row(process));
        }
        println!("{table}");
    }
    let all_up = processes.iter().all(|process| process.state == Health::Up);
    Ok(if all_up {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn row(process: &ProcessStatus) -> [String; 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let state = match process.state {
        Health::Up => "up",
        Health::Died => "died",
        Health::Down => "down",
    };
    [
        process.name.to_owned(),
        state.to_owned(),
        or_dash(process.pid.map(|pid| pid.to_string())),
        or_dash(process.port.map(|port| port.to_string())),
        or_dash(process.uptime_seconds.map(duration)),
        or_dash(process.memory_kib.map(|kib| format!("{} MiB", kib / 1024))),
        or_dash(process.url.clone()),
    ]
}

fn duration(seconds: u64) -> String {
    match (
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    ) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, _, _) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        let texts = [5, 65, 3700, 90_000].map(duration);
        assert_eq!(texts, ["5s", "1m05s", "1h01m", "1d01h"]);
    }
}
