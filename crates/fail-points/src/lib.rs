//! Places in the code at which a test kills the process: before and after a write, a commit, a call to another system, a publish.
//!
//! ```text
//! let row = fail_points!("charge.begin", query.fetch_one(connection).await)?;
//! ```
//!
//! has two, `charge.begin.before` and `charge.begin.after`. The environment variable `FAILPOINTS` arms them, in the language of
//! [`fail`](https://docs.rs/fail): `FAILPOINTS="charge.begin.after=3*off->return"` kills the process the fourth time that it comes
//! by. It dies as by `kill -9`: no destructor runs, nothing is flushed, no connection is closed politely.
//!
//! Without the feature `enabled` the macro is the step alone: nothing of this is in a build that is not a test's.

/// A step between two fail-points, named `<site>.before` and `<site>.after`. The value is the step's, which must not leave it by `?`
/// or `return`. The site is a text, and is not looked at without the feature `enabled`.
#[cfg(feature = "enabled")]
#[macro_export]
macro_rules! fail_points {
    ($site:expr, $step:expr $(,)?) => {{
        let site = $site;
        $crate::pass(::core::convert::AsRef::<str>::as_ref(&site), "before");
        let done = $step;
        $crate::pass(::core::convert::AsRef::<str>::as_ref(&site), "after");
        done
    }};
}

/// A step between two fail-points; in this build the step alone.
#[cfg(not(feature = "enabled"))]
#[macro_export]
macro_rules! fail_points {
    ($site:expr, $step:expr $(,)?) => {
        $step
    };
}

/// Kills the process if `FAILPOINTS` says so for this moment of the site.
#[cfg(feature = "enabled")]
pub fn pass(site: &str, moment: &str) {
    static READ: std::sync::Once = std::sync::Once::new();
    // Kept to the end of the process; dropping it would disarm everything.
    READ.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    let name = format!("{site}.{moment}");
    fail::fail_point!(&name, |_| die(&name));
}

#[cfg(feature = "enabled")]
fn die(name: &str) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    eprintln!("killed at {name}");
    // Another thread may have a moment left until the signal arrives; this one does nothing more.
    let _ = kill(Pid::this(), Signal::SIGKILL);
    loop {
        std::thread::park();
    }
}
