//! Starting processes.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Identity;
use crate::error::{IoContext as _, StackError};
use crate::log_excerpt;
use crate::run_as::RunAs;

/// A process to start, detached from this one: in a session of its own, output to a log file.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// Name for messages.
    pub name: String,
    /// Absolute path, or a name looked up in PATH.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Variables added to (or replacing those of) this process's environment.
    pub env: Vec<(String, String)>,
    /// Working directory; must be one that the account can enter.
    pub dir: PathBuf,
    /// Log file; appended to.
    pub log: PathBuf,
    /// Account to run as; `None` keeps this one.
    pub run_as: Option<RunAs>,
}

impl Spawn {
    /// A process with no arguments, in its log's directory.
    pub fn new(name: &str, program: impl Into<PathBuf>, log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: log.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned),
            log: log.to_owned(),
            run_as: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn dir(mut self, dir: &Path) -> Self {
        dir.clone_into(&mut self.dir);
        self
    }

    /// Sets the account.
    #[must_use]
    pub fn run_as(mut self, account: Option<&RunAs>) -> Self {
        self.run_as = account.cloned();
        self
    }

    /// Length of the log now: what is written from here on belongs to the next start.
    pub fn log_mark(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |metadata| metadata.len())
    }

    /// Starts the process and returns at once.
    pub fn start(&self) -> Result<Identity, StackError> {
        let program = find_program(&self.program)?;
        if let Some(parent) = self.log.parent() {
            fs::create_dir_all(parent).at("create", parent)?;
        }
        let out = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .at("open", &self.log)?;
        let err = out.try_clone().at("open", &self.log)?;
        let mark = self.log_mark();
        let mut command = detached(&program);
        command.args(&self.args).current_dir(&self.dir);
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        if let Some(account) = &self.run_as {
            command.uid(account.uid).gid(account.gid);
        }
        let mut child = command.spawn().at("start", &program)?;
        let identity = Identity::of(child.id());
        // Reaps the child when it ends before us, so that no zombie keeps its pid.
        std::thread::spawn(move || child.wait());
        identity.ok_or_else(|| StackError::Died {
            name: self.name.clone(),
            log: log_excerpt::explain(&self.log, mark),
        })
    }
}

/// `setsid` gives the process a session of its own and then becomes it, under the same pid, so that neither the end
/// of the terminal nor Ctrl-C reaches it. Where it is missing, a process group of its own has to do.
fn detached(program: &Path) -> Command {
    if let Ok(setsid) = find_program(Path::new("setsid")) {
        let mut command = Command::new(setsid);
        command.arg(program);
        return command;
    }
    let mut command = Command::new(program);
    command.process_group(0);
    command
}

/// The absolute path of a program: looked up in PATH and the system's sbin directories.
pub fn find_program(program: &Path) -> Result<PathBuf, StackError> {
    if program.is_absolute() {
        return if program.is_file() {
            Ok(program.to_owned())
        } else {
            Err(missing(program))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| missing(program))
}

fn missing(program: &Path) -> StackError {
    StackError::Missing {
        program: program.display().to_string(),
        mend: "`cargo xtask up` names and installs the missing packages".to_owned(),
    }
}

/// Runs a command to its end and returns its standard output; the error quotes what it wrote.
pub fn run(command: &mut Command) -> Result<String, StackError> {
    let shown = shown(command);
    let program = PathBuf::from(command.get_program());
    let output = command.stdin(Stdio::null()).output().at("run", &program)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    let said = said
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    let tail: Vec<&str> = said.lines().rev().take(12).collect();
    Err(StackError::Command {
        command: shown,
        status: output.status.to_string(),
        output: tail.into_iter().rev().collect::<Vec<_>>().join("\n"),
    })
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
