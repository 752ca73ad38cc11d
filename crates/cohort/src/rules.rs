//! The rules document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decision::{FULL, in_cohort};

/// The version of the document and of the decision rule that this code knows.
const VERSION: u32 = 1;

/// Which share of the users each rollout has reached.
///
/// As JSON: `{"version":1,"rollouts":{"notifications-v2":{"basisPoints":10000,"ruleVersion":1}}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    version: u32,
    rollouts: BTreeMap<String, Rollout>,
}

/// One rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rollout {
    /// The share on the new side, 0 to 10000 hundredths of a percent.
    pub basis_points: u16,
    /// The decision rule it is read by; only 1 exists.
    pub rule_version: u32,
}

/// Why a rules document is refused. Each names the key.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not JSON, or not of the right shape.
    #[error("`{key}`: {reason}")]
    Shape {
        /// The path of the key, `.` for the document itself.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Made for newer code.
    #[error("`{key}` is {found}, and this program knows only {VERSION}; update it before the rules")]
    Version {
        /// The path of the key.
        key: String,
        /// The version found.
        found: u32,
    },
    /// More than everybody.
    #[error("`rollouts.{rollout}.basisPoints` is {found}; it must be 0 to {FULL}")]
    Share {
        /// The rollout.
        rollout: String,
        /// The basis points found.
        found: u16,
    },
    /// A name that cannot stand in the gateway's configuration.
    #[error("`rollouts.{0}`: a name has 1 to 64 of a-z, 0-9 and `-`")]
    Name(String),
}

impl Rules {
    /// Rules that put everybody on the legacy side.
    pub fn none() -> Self {
        Self {
            version: VERSION,
            rollouts: BTreeMap::new(),
        }
    }

    /// Rules with these rollouts, checked.
    pub fn new(rollouts: impl IntoIterator<Item = (String, Rollout)>) -> Result<Self, RulesError> {
        Self {
            version: VERSION,
            rollouts: rollouts.into_iter().collect(),
        }
        .checked()
    }

    /// Reads a document; an unknown key is an error, because a misspelt share must not pass for none.
    pub fn parse(json: &[u8]) -> Result<Self, RulesError> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let rules: Self =
            serde_path_to_error::deserialize(&mut deserializer).map_err(|error| RulesError::Shape {
                key: error.path().to_string(),
                reason: error.inner().to_string(),
            })?;
        deserializer.end().map_err(|error| RulesError::Shape {
            key: ".".into(),
            reason: error.to_string(),
        })?;
        rules.checked()
    }

    /// Whether the user is on the new side of `rollout`. An unknown rollout and an anonymous user (`None`) are legacy.
    pub fn is_enabled(&self, rollout: &str, user_id: Option<i64>) -> bool {
        match (self.rollouts.get(rollout), user_id) {
            (Some(rule), Some(user_id)) => in_cohort(rollout, user_id, rule.basis_points),
            _ => false,
        }
    }

    /// The share of `rollout` in basis points; 0 for an unknown one.
    pub fn basis_points(&self, rollout: &str) -> u16 {
        self.rollouts.get(rollout).map_or(0, |rule| rule.basis_points)
    }

    fn checked(self) -> Result<Self, RulesError> {
        if self.version != VERSION {
            return Err(RulesError::Version {
                key: "version".into(),
                found: self.version,
            });
        }
        for (name, rule) in &self.rollouts {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
                return Err(RulesError::Name(name.clone()));
            }
            if rule.rule_version != VERSION {
                let key = format!("rollouts.{name}.ruleVersion");
                return Err(RulesError::Version {
                    key,
                    found: rule.rule_version,
                });
            }
            if rule.basis_points > FULL {
                return Err(RulesError::Share {
                    rollout: name.clone(),
                    found: rule.basis_points,
                });
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        Rules::parse(json.as_bytes()).expect_err(json).to_string()
    }

    #[test]
    fn a_document_is_read_and_written_alike() {
        let json = r#"{"version":1,"rollouts":{"notifications-v2":{"basisPoints":10000,"ruleVersion":1}}}"#;
        let rules = Rules::parse(json.as_bytes()).expect("rules");
        assert_eq!(serde_json::to_string(&rules).expect("json"), json);
        assert!(rules.is_enabled("notifications-v2", Some(7)));
        assert!(!rules.is_enabled("notifications-v2", None), "anonymous");
        assert!(!rules.is_enabled("payments-v2", Some(7)), "unknown");
        assert_eq!(rules.basis_points("notifications-v2"), 10_000);
    }

    #[test]
    fn an_error_names_the_key() {
        let rollout = |body: &str| format!(r#"{{"version":1,"rollouts":{{"notifications-v2":{body}}}}}"#);
        assert!(error("").starts_with("`.`"));
        assert!(error(r#"{"version":2,"rollouts":{}}"#).starts_with("`version` is 2"));
        assert!(
            error(&rollout(r#"{"basisPoints":10001,"ruleVersion":1}"#))
                .contains("notifications-v2.basisPoints` is 10001")
        );
        assert!(
            error(&rollout(r#"{"basisPoints":"5%","ruleVersion":1}"#))
                .starts_with("`rollouts.notifications-v2.basisPoints`")
        );
        assert!(
            error(&rollout(r#"{"basisPoints":-1,"ruleVersion":1}"#))
                .starts_with("`rollouts.notifications-v2.basisPoints`")
        );
        assert!(
            error(&rollout(r#"{"basisPoints":1,"ruleVersion":2}"#))
                .starts_with("`rollouts.notifications-v2.ruleVersion` is 2")
        );
        assert!(error(&rollout(r#"{"basispoints":1,"ruleVersion":1}"#)).contains("basispoints"));
        assert!(
            error(r#"{"version":1,"rollouts":{"a b":{"basisPoints":1,"ruleVersion":1}}}"#)
                .starts_with("`rollouts.a b`")
        );
        assert!(error(r#"{"version":1,"rollouts":{}} x"#).starts_with("`.`"));
    }
}
