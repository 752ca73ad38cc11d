//! `cargo xtask up` and `cargo xtask down`

use std::process::ExitCode;

use banyan_local_stack::TestServers;
use banyan_local_stack::progress::Progress;
use banyan_local_stack::stack::{self, Layout, StackRecord};

use crate::cli::{DownOptions, UpOptions};
use crate::root::layout;
use crate::table::table;

/// Starts or repairs the stack, and says what to try.
pub(crate) async fn up(options: UpOptions) -> anyhow::Result<ExitCode> {
    let layout = layout()?;
    let stack_options = stack::UpOptions {
        no_install: options.no_install,
        release: options.release,
    };
    let record = stack::up(&layout, stack_options, &Progress::detect()).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&record.urls)?);
    } else {
        println!("\n{}\n\n{}", urls(&record), what_to_try(&layout));
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops the stack, or the servers of the tests.
pub(crate) async fn down(options: DownOptions) -> anyhow::Result<ExitCode> {
    if options.test_servers {
        TestServers::stop().await?;
        println!("the servers of the tests are stopped");
        return Ok(ExitCode::SUCCESS);
    }
    let stopped = stack::down(&layout()?, options.purge, &Progress::detect()).await?;
    match stopped.as_slice() {
        [] => println!("nothing was running"),
        names => println!("stopped {}", names.join(", ")),
    }
    Ok(ExitCode::SUCCESS)
}

fn urls(record: &StackRecord) -> comfy_table::Table {
    let mut table = table(&["PROCESS", "WHERE"]);
    for process in &record.processes {
        let address = process.port.map(|port| format!("127.0.0.1:{port}"));
        if let Some(place) = process.url.clone().or(address) {
            table.add_row([process.name.clone(), place]);
        }
    }
    table
}

/// Two lines that take the whole road, and where to look afterwards. The trace id is made here, so that the line that shows
/// the trace can be printed beside the one that makes it.
fn what_to_try(layout: &Layout) -> String {
    let (gateway, state) = (layout.url("gateway"), layout.state.display());
    let trace = format!("{:032x}", rand::random::<u128>());
    let someone = &trace[..6];
    format!(
        r#"Try it: sign up, and pay
  TOKEN=$(curl -s {gateway}/api/users/signup -H 'Content-Type: application/json' -d '{{"email":"{someone}@example.com","password":"correct-horse-battery","displayName":"Me"}}' | python3 -c 'import json,sys; print(json.load(sys.stdin)["accessToken"])')
  curl -i {gateway}/api/payments/charge -H "Authorization: Bearer $TOKEN" -H 'Idempotency-Key: {someone}' -H 'traceparent: 00-{trace}-{parent}-01' -H 'Content-Type: application/json' -d '{{"amount":"10.00","currency":"USD","paymentMethodId":"pm_card_visa"}}'

Then look at
  the trace         cargo xtask trace {trace}   (others: {traces}/traces)
  the mails         ls {state}/mail/new/
  the audit rows    curl -s {gateway}/api/notifications/ -H "Authorization: Bearer $TOKEN"
  the outbox        cargo xtask psql legacy -c 'SELECT type, subject, published_at FROM outbox ORDER BY sequence DESC LIMIT 5'
  what runs         cargo xtask status; cargo xtask logs notifications -f
  the old mail path cargo xtask rollout notifications-v2 0"#,
        parent = &trace[16..],
        traces = layout.url("traces"),
    )
}
