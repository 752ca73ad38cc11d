//! The rollout rules of the local stack, until the control plane serves them.

use std::fs;
use std::path::Path;

use banyan_cohort::Rules;
use serde_json::{Value, json};

use crate::error::{IoContext as _, StackError};
use crate::secret;

/// For messages.
const WHAT: &str = "rollout rules";

/// 100 %, in basis points.
pub const FULL: u16 = 10_000;

/// Makes the rules file unless there is one: notifications are at 100 %.
pub fn ensure(path: &Path) -> Result<(), StackError> {
    if path.is_file() {
        return Ok(());
    }
    set(path, "notifications-v2", FULL).map(drop)
}

/// Sets the share of one rollout and returns the rules. Readers see the old file or the new one, never a part, and never
/// rules that they would refuse.
pub fn set(path: &Path, rollout: &str, basis_points: u16) -> Result<Rules, StackError> {
    let mut document: Value = secret::read_json(path, WHAT)?.unwrap_or_else(|| json!(Rules::none()));
    document["rollouts"][rollout] = json!({ "basisPoints": basis_points, "ruleVersion": 1 });
    let text = serde_json::to_vec(&document).map_err(|error| StackError::Other(error.to_string()))?;
    let rules = parse(path, &text)?;
    secret::write_json(path, &rules)?;
    Ok(rules)
}

/// The share of a rollout; 0 where the rules do not name it, or where there are none.
pub fn basis_points(path: &Path, rollout: &str) -> Result<u16, StackError> {
    match fs::read(path) {
        Ok(text) => Ok(parse(path, &text)?.basis_points(rollout)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).at("read", path),
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Rules, StackError> {
    let damaged = |error: banyan_cohort::RulesError| StackError::Damaged {
        path: path.to_owned(),
        what: WHAT,
        message: error.to_string(),
    };
    Rules::parse(text).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_set_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rollouts.json");
        ensure(&path).unwrap();
        set(&path, "payments", 500).unwrap();
        set(&path, "notifications-v2", 0).unwrap();
        ensure(&path).unwrap();
        assert_eq!(basis_points(&path, "payments").unwrap(), 500);
        assert_eq!(
            basis_points(&path, "notifications-v2").unwrap(),
            0,
            "an existing file is left alone"
        );
        assert_eq!(basis_points(&path, "unknown").unwrap(), 0);
        set(&path, "payments", 10_001).unwrap_err();
        set(&path, "pay\"ments", 1).unwrap_err();
    }
}
