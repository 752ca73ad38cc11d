//! The arguments of `cutover dead`.

use std::time::Duration;

use anyhow::Context as _;
use banyan_messaging::dead::Filter;
use clap::{Args, Command, Subcommand};

/// The verb with its actions.
pub(crate) fn command() -> Command {
    let command = Command::new("dead")
        .about("List, show, replay or discard events that a service gave up")
        .subcommand_required(true)
        .arg_required_else_help(true);
    Action::augment_subcommands(command)
}

/// What to do with them.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List dead events, the longest dead first. Payloads are not shown.
    List {
        /// The service that gave them up, such as notifications.
        service: String,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Show one dead event with its payload; personal data and tokens are blacked out.
    Show {
        /// The service that gave it up.
        service: String,
        /// The event's id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Show personal data and tokens too.
        #[arg(long)]
        reveal: bool,
    },
    /// Send dead events back to their service, with the attempts counted anew. Exit code 1 when none fits.
    Replay {
        /// The service that gave them up.
        service: String,
        #[command(flatten)]
        chosen: Chosen,
        /// Replay all that there are.
        #[arg(long, required_unless_present_any = ["ids", "kind", "reason_contains", "older_than"])]
        all: bool,
    },
    /// Throw dead events away. Exit code 1 when none fits.
    Discard {
        /// The service that gave them up.
        service: String,
        #[command(flatten)]
        chosen: Chosen,
        /// Why; it goes to the log with each event.
        #[arg(long)]
        reason: String,
        /// Discard all that there are.
        #[arg(long, required_unless_present_any = ["ids", "kind", "reason_contains", "older_than"])]
        all: bool,
    },
}

impl Action {
    pub(super) fn service(&self) -> &str {
        match self {
            Self::List { service, .. }
            | Self::Show { service, .. }
            | Self::Replay { service, .. }
            | Self::Discard { service, .. } => service,
        }
    }
}

/// Which events.
#[derive(Debug, Args)]
pub(super) struct Chosen {
    /// Event ids.
    ids: Vec<String>,
    /// Only of this type, such as payment.completed.
    #[arg(long = "type")]
    kind: Option<String>,
    /// Only with this text in the reason.
    #[arg(long)]
    reason_contains: Option<String>,
    /// Only dead for at least this long: 90s, 15m, 12h, 7d.
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// At most this many.
    #[arg(long)]
    limit: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Chosen {
    pub(super) fn filter(&self) -> anyhow::Result<Filter> {
        Ok(Filter {
            ids: self.ids.clone(),
            kind: self.kind.clone(),
            reason: self.reason_contains.clone(),
            older_than: self.older_than.as_deref().map(age).transpose()?,
            limit: self.limit,
        })
    }
}

/// `90s`, `15m`, `12h`, `7d`.
fn age(text: &str) -> anyhow::Result<Duration> {
    let seconds = text.char_indices().last().and_then(|(at, unit)| {
        let scale = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        text[..at].parse::<u64>().ok()?.checked_mul(scale)
    });
    let seconds =
        seconds.with_context(|| format!("--older-than is `{text}`; write it like 90s, 15m, 12h or 7d"))?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_all_must_be_said() {
        command().debug_assert();
        let parse = |line: &str| command().try_get_matches_from(line.split(' '));
        parse("dead replay notifications").unwrap_err();
        parse("dead replay notifications --all").unwrap();
        parse("dead discard notifications --all").unwrap_err();
        parse("dead discard notifications 0190 --reason tested").unwrap();
    }

    #[test]
    fn ages_are_read_and_nonsense_is_named() {
        assert_eq!(age("15m").unwrap(), Duration::from_mins(15));
        assert_eq!(age("7d").unwrap(), Duration::from_hours(168));
        for bad in ["", "m", "12", "1w", "-1s", "ä"] {
            assert!(age(bad).unwrap_err().to_string().contains(bad));
        }
    }
}
