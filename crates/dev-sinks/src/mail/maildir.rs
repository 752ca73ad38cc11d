//! Delivery into a Maildir (<https://cr.yp.to/proto/maildir.html>).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io, process};

/// A directory with `tmp`, `new` and `cur`.
#[derive(Debug)]
pub(super) struct Maildir {
    root: PathBuf,
    delivered: AtomicU64,
}

impl Maildir {
    /// Opens the Maildir at `root`, making what is missing.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        for part in ["tmp", "new", "cur"] {
            let dir = root.join(part);
            fs::create_dir_all(&dir).map_err(|error| named(&error, &dir))?;
        }
        Ok(Self {
            root: root.to_owned(),
            delivered: AtomicU64::new(0),
        })
    }

    /// Writes the message to `tmp` and renames it to `new`, so that a reader never sees half a file.
    pub(super) fn deliver(&self, bytes: &[u8]) -> io::Result<()> {
        let name = self.unique_name();
        let (tmp, new) = (
            self.root.join("tmp").join(&name),
            self.root.join("new").join(&name),
        );
        fs::write(&tmp, bytes)
            .and_then(|()| fs::rename(&tmp, &new))
            .map_err(|error| named(&error, &new))
    }

    /// Time, process and a counter: unique on this machine and in the order of delivery.
    fn unique_name(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let count = self.delivered.fetch_add(1, Ordering::Relaxed);
        format!(
            "{}.M{:06}P{}Q{count:08}.banyan",
            now.as_secs(),
            now.subsec_micros(),
            process::id()
        )
    }
}

fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
