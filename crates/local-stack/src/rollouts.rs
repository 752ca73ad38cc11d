//! The rollout rules of the local stack, until the control plane serves them.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::StackError;
use crate::secret;

/// 100 %, in basis points.
pub const FULL: u16 = 10_000;

/// Makes the rules file unless there is one: notifications are at 100 %.
pub fn ensure(path: &Path) -> Result<(), StackError> {
    if path.is_file() {
        return Ok(());
    }
    set(path, "notifications-v2", FULL).map(drop)
}

/// Sets the share of one rollout and returns the rules. Readers see the old file or the new one, never a part.
pub fn set(path: &Path, rollout: &str, basis_points: u16) -> Result<Value, StackError> {
    if basis_points > FULL {
        return Err(StackError::Other(format!(
            "{basis_points} basis points are more than all ({FULL})"
        )));
    }
    if !rollout
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        || rollout.is_empty()
    {
        return Err(StackError::Other(format!(
            "`{rollout}` is no rollout: letters, digits and `-` only"
        )));
    }
    let mut rules: Value =
        secret::read_json(path, "rollout rules")?.unwrap_or_else(|| json!({ "version": 1, "rollouts": {} }));
    rules["rollouts"][rollout] = json!({ "basisPoints": basis_points, "ruleVersion": 1 });
    secret::write_json(path, &rules)?;
    Ok(rules)
}

/// The share of a rollout; 0 where the rules do not name it.
pub fn basis_points(path: &Path, rollout: &str) -> Result<u16, StackError> {
    let rules: Option<Value> = secret::read_json(path, "rollout rules")?;
    let share = rules
        .as_ref()
        .and_then(|rules| rules["rollouts"][rollout]["basisPoints"].as_u64());
    Ok(share.and_then(|share| u16::try_from(share).ok()).unwrap_or(0))
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
