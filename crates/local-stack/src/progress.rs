//! Shows what is being done: moving lines on a terminal, one plain line per event elsewhere, both on stderr.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Where progress is shown.
#[derive(Debug, Clone)]
pub enum Progress {
    /// A spinner per step.
    Terminal(MultiProgress),
    /// A line when a step begins or ends.
    Plain,
    /// Nowhere.
    Silent,
}

impl Progress {
    /// Spinners on a terminal, plain lines elsewhere.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Terminal(MultiProgress::new())
        } else {
            Self::Plain
        }
    }

    /// Begins a step.
    pub fn step(&self, name: &str, doing: &str) -> Step {
        let bar = match self {
            Self::Terminal(bars) => {
                let bar = bars.add(ProgressBar::new_spinner().with_style(style()));
                bar.set_prefix(name.to_owned());
                bar.set_message(doing.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            Self::Plain => {
                eprintln!("{name:<14} {doing}");
                None
            }
            Self::Silent => None,
        };
        Step {
            name: name.to_owned(),
            begin: Instant::now(),
            plain: matches!(self, Self::Plain),
            bar,
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix:14} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// One thing being done.
#[derive(Debug)]
pub struct Step {
    name: String,
    begin: Instant,
    plain: bool,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Says more about what is being done; shown on a terminal only.
    pub fn detail(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Ends the step with its outcome and duration.
    pub fn done(self, outcome: &str) {
        let tenths = self.begin.elapsed().as_millis() / 100;
        let text = format!("{outcome} ({}.{} s)", tenths / 10, tenths % 10);
        if self.plain {
            eprintln!("{:<14} {text}", self.name);
        }
        if let Some(bar) = &self.bar {
            bar.finish_with_message(text);
        }
    }
}

impl Drop for Step {
    /// A step that was not ended failed; the error itself is told once, at the end.
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take().filter(|bar| !bar.is_finished()) {
            bar.abandon_with_message("failed");
        }
    }
}
