//! `cargo xtask rollout`

use std::process::ExitCode;

use banyan_local_stack::stack;

use crate::root::layout;

/// Sets the share of a rollout.
pub(crate) async fn rollout(name: &str, basis_points: u16) -> anyhow::Result<ExitCode> {
    let runs = stack::roll_out(&layout()?, name, basis_points).await?;
    let share = format!("{}.{:02} %", basis_points / 100, basis_points % 100);
    if runs {
        println!(
            "{name} is at {share}; the gateway splits by it, the monolith reads it within a second or so"
        );
    } else {
        println!("{name} is at {share} from the next `cargo xtask up` on");
    }
    Ok(ExitCode::SUCCESS)
}
