//! What came of the checks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use crate::api::Difference;
use crate::inputs::Input;

/// The exit code where checks could not run and that was not allowed.
pub const PARTIAL: u8 = 3;

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// The system differs.
    Failed(Difference),
    /// It needs what was not given.
    NotRun(Vec<Input>),
}

/// One check and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The check.
    pub name: String,
    /// Its operation.
    pub operation: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub elapsed: Duration,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Report {
    base_url: String,
    rows: Vec<Row>,
    elapsed: Duration,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    passed: usize,
    failed: usize,
    not_run: usize,
}

impl Count {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::NotRun(_) => self.not_run += 1,
        }
    }
}

impl Report {
    pub(crate) fn new(base_url: &str, mut rows: Vec<Row>, elapsed: Duration) -> Self {
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            base_url: base_url.to_owned(),
            rows,
            elapsed,
        }
    }

    /// Every check with its end, by name.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn count(&self) -> Count {
        let mut count = Count::default();
        self.rows.iter().for_each(|row| count.add(&row.outcome));
        count
    }

    /// 0: all passed. 1: some failed. [`PARTIAL`]: some could not run, and that is not allowed.
    pub fn exit_code(&self, allow_partial: bool) -> ExitCode {
        let count = self.count();
        if count.failed > 0 || self.rows.is_empty() {
            ExitCode::FAILURE
        } else if count.not_run > 0 && !allow_partial {
            ExitCode::from(PARTIAL)
        } else {
            ExitCode::SUCCESS
        }
    }

    /// A table of the operations, then every difference, then the sum.
    pub fn text(&self) -> String {
        let mut operations: BTreeMap<&str, Count> = BTreeMap::new();
        for row in &self.rows {
            operations.entry(&row.operation).or_default().add(&row.outcome);
        }
        let mut table = Table::new();
        table
            .load_style(NOTHING)
            .set_header(["operation", "passed", "failed", "not run"]);
        let number = |count: usize| {
            if count == 0 {
                String::new()
            } else {
                count.to_string()
            }
        };
        for (operation, count) in operations {
            table.add_row([
                operation.to_owned(),
                number(count.passed),
                number(count.failed),
                number(count.not_run),
            ]);
        }
        let mut text = format!("{table}\n");
        // Writing to a String cannot fail.
        for row in &self.rows {
            let _ = match &row.outcome {
                Outcome::Passed => Ok(()),
                Outcome::Failed(difference) => writeln!(text, "\nFAILED {}\n    {difference}", row.name),
                Outcome::NotRun(missing) => {
                    let options: Vec<&str> = missing.iter().map(|input| input.option()).collect();
                    writeln!(text, "not run: {} (needs {})", row.name, options.join(", "))
                }
            };
        }
        let Count {
            passed,
            failed,
            not_run,
        } = self.count();
        let _ = write!(
            text,
            "\n{}: {passed} passed, {failed} failed, {not_run} not run, in {} s",
            self.base_url,
            self.elapsed.as_secs()
        );
        text
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let Count {
            passed,
            failed,
            not_run,
        } = self.count();
        let checks: Vec<Value> = self.rows.iter().map(Row::json).collect();
        json!({
            "baseUrl": self.base_url, "passed": passed, "failed": failed, "notRun": not_run,
            "milliseconds": milliseconds(self.elapsed), "checks": checks,
        })
    }
}

impl Row {
    fn json(&self) -> Value {
        let mut row = json!({
            "name": self.name, "operation": self.operation, "milliseconds": milliseconds(self.elapsed),
        });
        match &self.outcome {
            Outcome::Passed => row["outcome"] = "passed".into(),
            Outcome::Failed(difference) => {
                row["outcome"] = "failed".into();
                row["difference"] = difference.to_string().into();
            }
            Outcome::NotRun(missing) => {
                row["outcome"] = "not-run".into();
                row["needs"] = json!(missing);
            }
        }
        row
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> Report {
        let rows = outcomes.into_iter().enumerate().map(|(number, outcome)| Row {
            name: format!("check-{number}"),
            operation: "GET /x".to_owned(),
            outcome,
            elapsed: Duration::from_millis(5),
        });
        Report::new("http://x", rows.collect(), Duration::from_secs(1))
    }

    #[test]
    fn the_exit_code_tells_failed_from_partial() {
        let not_run = || Outcome::NotRun(vec![Input::Staff]);
        let failed = || Outcome::Failed(Difference::new("GET /x: status 200, expected 401"));
        let code = |outcomes, partial| format!("{:?}", report(outcomes).exit_code(partial));
        let of = |code: ExitCode| format!("{code:?}");
        assert_eq!(code(vec![Outcome::Passed], false), of(ExitCode::SUCCESS));
        assert_eq!(
            code(vec![Outcome::Passed, not_run()], false),
            of(ExitCode::from(PARTIAL))
        );
        assert_eq!(
            code(vec![Outcome::Passed, not_run()], true),
            of(ExitCode::SUCCESS)
        );
        assert_eq!(code(vec![failed(), not_run()], true), of(ExitCode::FAILURE));
        assert_eq!(code(vec![], true), of(ExitCode::FAILURE), "nothing was checked");
    }

    #[test]
    fn differences_and_missing_inputs_are_named() {
        let report = report(vec![
            Outcome::Failed(Difference::new("GET /x: status 200, expected 401")),
            Outcome::NotRun(vec![Input::Mail]),
        ]);
        let text = report.text();
        assert!(text.contains("GET /x: status 200, expected 401"), "{text}");
        assert!(text.contains("check-1 (needs --maildir)"), "{text}");
        assert_eq!(report.json()["checks"][1]["needs"], json!(["mail"]));
    }
}
