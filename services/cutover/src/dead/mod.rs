//! `cutover dead`: events that a service gave up.

mod args;
mod show;

use std::process::ExitCode;

use banyan_messaging::BrokerConfig;
use banyan_messaging::dead::{DeadEvent, DeadQueue, Filter};
use clap::{ArgMatches, FromArgMatches as _};
use comfy_table::{Table, presets};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

pub(crate) use args::command;
use args::{Action, Chosen};

/// Nothing fitted: told apart from success, so that a script need not read the text.
const NONE_FITTED: u8 = 1;

/// Runs the verb.
///
/// # Errors
/// The broker is away, there is no such service, or a replay was not taken.
pub(crate) async fn run(broker: &BrokerConfig, args: &ArgMatches) -> anyhow::Result<ExitCode> {
    let action = Action::from_arg_matches(args)?;
    let mut queue = DeadQueue::open(broker, action.service()).await?;
    // Whatever happens, the events that were only looked at go back.
    let outcome = act(&mut queue, &action).await;
    queue.close().await;
    outcome
}

async fn act(queue: &mut DeadQueue, action: &Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::List { chosen, .. } => {
            let events = queue.list(&chosen.filter()?);
            if chosen.json {
                println!("{}", serde_json::to_string_pretty(&events)?);
            } else if events.is_empty() {
                println!("no dead events");
            } else {
                println!("{}", table(&events));
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Show {
            id,
            json,
            reveal,
            service,
        } => {
            let events = queue.list(&Filter::id(id.as_str()));
            let Some(event) = events.first() else {
                anyhow::bail!(
                    "no dead event of {service} has the id {id}; `cutover dead list {service}` shows them"
                );
            };
            println!("{}", show::event(event, *json, *reveal)?);
            Ok(ExitCode::SUCCESS)
        }
        Action::Replay { chosen, .. } => report("replayed", &queue.replay(&chosen.filter()?).await?, chosen),
        Action::Discard { chosen, reason, .. } => report(
            "discarded",
            &queue.discard(&chosen.filter()?, reason).await?,
            chosen,
        ),
    }
}

fn report(done: &str, events: &[DeadEvent], chosen: &Chosen) -> anyhow::Result<ExitCode> {
    if chosen.json {
        println!("{}", serde_json::to_string_pretty(&json!({ done: events }))?);
    } else {
        for event in events {
            println!(
                "{done} {} {}",
                event.id,
                event.kind.as_deref().unwrap_or("of unknown type")
            );
        }
        println!(
            "{done} {} event{}",
            events.len(),
            if events.len() == 1 { "" } else { "s" }
        );
    }
    Ok(if events.is_empty() {
        ExitCode::from(NONE_FITTED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Without the payload, which holds personal data.
fn table(events: &[DeadEvent]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "ID",
        "TYPE",
        "DEAD SINCE",
        "ATTEMPTS",
        "REPLAYS",
        "REASON",
    ]);
    for event in events {
        let dead_at = event.dead_at.and_then(|time| time.format(&Rfc3339).ok());
        table.add_row([
            event.id.clone(),
            event.kind.clone().unwrap_or_default(),
            dead_at.unwrap_or_default(),
            event.attempts.to_string(),
            event.replays.to_string(),
            event.reason.clone().unwrap_or_default(),
        ]);
    }
    table
}
