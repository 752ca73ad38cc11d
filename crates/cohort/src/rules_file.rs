//! Rules from a file that others rewrite.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::rules::{Rules, RulesError};

/// How often the file is looked at; asking in between costs no system call.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The rules in a JSON file, read again after it changed.
///
/// A file that is missing or broken changes nothing: the rules read last hold, and before any were read everybody is on the
/// legacy side. Each such state is logged once. Write the file by renaming a new one over it.
#[derive(Debug)]
pub struct RulesFile {
    path: PathBuf,
    interval: Duration,
    rules: RwLock<Arc<Rules>>,
    watch: Mutex<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    checked: Option<Instant>,
    seen: Option<Stamp>,
    failure: Option<String>,
}

/// Tells one content of the path from another; the inode because a rename may come within one tick of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: (u64, u64),
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Rules(#[from] RulesError),
}

impl RulesFile {
    /// Reads the file at `path`, which need not be there yet, and looks at it again at most once a second.
    pub fn watch(path: impl Into<PathBuf>) -> Self {
        Self::watch_every(path, CHECK_INTERVAL)
    }

    /// As [`watch`](Self::watch) with another interval; zero looks at the file for every question.
    pub fn watch_every(path: impl Into<PathBuf>, interval: Duration) -> Self {
        let file = Self {
            path: path.into(),
            interval,
            rules: RwLock::new(Arc::new(Rules::none())),
            watch: Mutex::default(),
        };
        file.refresh();
        file
    }

    /// Where the rules come from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rules that hold now. Use one answer for everything that must agree.
    pub fn rules(&self) -> Arc<Rules> {
        self.refresh();
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the user is on the new side of `rollout` now.
    pub fn is_enabled(&self, rollout: &str, user_id: Option<i64>) -> bool {
        self.rules().is_enabled(rollout, user_id)
    }

    fn refresh(&self) {
        // Whoever finds another at it goes on with the rules there are.
        let Ok(mut watch) = self.watch.try_lock() else {
            return;
        };
        if watch
            .checked
            .is_some_and(|checked| checked.elapsed() < self.interval)
        {
            return;
        }
        match self.read_if_changed(&mut watch) {
            Ok(Some(rules)) => {
                *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
                tracing::info!(path = %self.path.display(), "rollout rules read");
                watch.failure = None;
            }
            Ok(None) => {}
            Err(error) => {
                let error = error.to_string();
                if watch.failure.as_ref() != Some(&error) {
                    tracing::error!(path = %self.path.display(), %error, "rollout rules cannot be read; the last known ones hold");
                }
                watch.failure = Some(error);
            }
        }
        watch.checked = Some(Instant::now());
    }

    fn read_if_changed(&self, watch: &mut Watch) -> Result<Option<Rules>, ReadError> {
        let stamp = fs::metadata(&self.path)
            .map(|metadata| Stamp::of(&metadata))
            .inspect_err(|_| watch.seen = None)?;
        if watch.seen == Some(stamp) {
            return Ok(None);
        }
        let mut file = File::open(&self.path)?;
        // Of the open file: by name it may be another by now. Set first, so that a broken file is parsed once.
        watch.seen = Some(Stamp::of(&file.metadata()?));
        let mut json = Vec::new();
        file.read_to_end(&mut json)?;
        Ok(Some(Rules::parse(&json)?))
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
            inode: (metadata.dev(), metadata.ino()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, basis_points: &str) {
        let new = path.with_extension("new");
        let rule = format!(r#"{{"basisPoints":{basis_points},"ruleVersion":1}}"#);
        fs::write(&new, format!(r#"{{"version":1,"rollouts":{{"r":{rule}}}}}"#)).expect("written");
        fs::rename(new, path).expect("renamed");
    }

    #[test]
    fn a_change_is_seen_and_a_broken_or_lost_file_changes_nothing() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("rollouts.json");
        let file = RulesFile::watch_every(&path, Duration::ZERO);
        assert!(!file.is_enabled("r", Some(7)), "no file yet: legacy");

        write(&path, "10000");
        assert!(file.is_enabled("r", Some(7)));
        write(&path, "10001");
        assert!(file.is_enabled("r", Some(7)), "broken: the last known rules hold");
        fs::remove_file(&path).expect("removed");
        assert!(file.is_enabled("r", Some(7)), "lost: the last known rules hold");
        write(&path, "00000");
        assert!(
            file.is_enabled("r", Some(7)),
            "still broken: no JSON number has leading zeros"
        );
        write(&path, "0");
        assert!(!file.is_enabled("r", Some(7)), "mended");
    }

    #[test]
    fn the_file_is_not_looked_at_within_the_interval() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("rollouts.json");
        let file = RulesFile::watch_every(&path, Duration::from_hours(1));
        write(&path, "10000");
        assert!(!file.is_enabled("r", Some(7)));
    }
}
