//! What can go wrong while servers and processes are started, in words that name the mend.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A failure of the local stack. The text names the thing and, where there is one, the mend.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A port that a process needs is held by somebody else.
    #[error(
        "port {port} for {name} is taken by {holder}; stop it, or set BANYAN_PORT_OFFSET to move every port"
    )]
    PortTaken {
        /// The process that wanted the port.
        name: String,
        /// The port on 127.0.0.1.
        port: u16,
        /// Who listens there, as far as /proc tells.
        holder: String,
    },
    /// No free port was found in the range used for private servers.
    #[error("no free port found between {from} and {to} on 127.0.0.1")]
    NoFreePort {
        /// First port tried.
        from: u16,
        /// Last port tried.
        to: u16,
    },
    /// A process ended before it was ready.
    #[error("{name} ended while starting; {log}")]
    Died {
        /// The process.
        name: String,
        /// The explaining lines of its log.
        log: String,
    },
    /// A process runs but does not answer.
    #[error("{name} was not ready after {}s ({last}); {log}", waited.as_secs())]
    NotReady {
        /// The process.
        name: String,
        /// How long it was given.
        waited: Duration,
        /// The answer of the last probe.
        last: String,
        /// The explaining lines of its log.
        log: String,
    },
    /// A process did not end, not even after SIGKILL.
    #[error("{name} (pid {pid}) is still there after SIGKILL")]
    Unkillable {
        /// The process.
        name: String,
        /// Its pid.
        pid: u32,
    },
    /// A program is not installed.
    #[error("{program} not found; {mend}")]
    Missing {
        /// The program or file.
        program: String,
        /// What to do about it.
        mend: String,
    },
    /// A helper command failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command line.
        command: String,
        /// Exit status as text.
        status: String,
        /// Its explaining output.
        output: String,
    },
    /// The unprivileged account cannot enter a directory on the way.
    #[error("the account {user} cannot enter {}: run `chmod o+x {}`, or move the directory elsewhere", dir.display(), dir.display())]
    NotTraversable {
        /// The account.
        user: String,
        /// The directory that stops it.
        dir: PathBuf,
    },
    /// A file operation failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The server refused a statement or a request.
    #[error("{server}: {message}")]
    Server {
        /// The server.
        server: String,
        /// What it said.
        message: String,
    },
    /// A file of ours is damaged.
    #[error("{} is not readable as {what}: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        what: &'static str,
        /// The parser's words.
        message: String,
    },
    /// Anything else, in full sentences.
    #[error("{0}")]
    Other(String),
}

/// Adds the action and the path to an I/O error.
pub(crate) trait IoContext<T> {
    /// Names what was done with which path.
    fn at(self, action: &'static str, path: &Path) -> Result<T, StackError>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, StackError> {
        self.map_err(|source| StackError::Io {
            action,
            path: path.to_owned(),
            source,
        })
    }
}
