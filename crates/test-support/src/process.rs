//! Services as real processes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The longest time from the start of a process to its listening.
const START_BOUND: Duration = Duration::from_secs(20);

/// How many log lines are kept.
const KEPT_LINES: usize = 10_000;

/// The path of a binary of this workspace, which must have been built.
///
/// A test of the binary's own package passes `env!("CARGO_BIN_EXE_<name>")` to [`ServiceCommand::new`] instead, which
/// makes cargo build it.
pub fn binary(name: &str) -> PathBuf {
    let mut dir = std::env::current_exe().expect("a test has a path");
    dir.pop();
    if dir.ends_with("deps") || dir.ends_with("examples") {
        dir.pop();
    }
    let path = dir.join(name);
    assert!(
        path.is_file(),
        "{} is not there; build it first: cargo build -p {name}",
        path.display()
    );
    path
}

/// The path of an example of the package that is tested. Cargo builds it with the package's tests, unless it is told to build one test
/// alone.
pub fn example(name: &str) -> PathBuf {
    binary(&format!("examples/{name}"))
}

/// A service to be started.
#[derive(Debug, Clone)]
pub struct ServiceCommand {
    path: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, String>,
}

impl ServiceCommand {
    /// `<path> serve` with JSON logs. Of this process's environment it gets nothing but `PATH` and `RUST_BACKTRACE`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let kept = ["PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];
        let mut env: BTreeMap<_, _> = kept
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        env.insert("BANYAN_LOG".to_owned(), "json".to_owned());
        Self {
            path: path.as_ref().to_owned(),
            args: vec!["serve".to_owned()],
            env,
        }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets a key of the configuration, such as `("http.listen", "127.0.0.1:0")`, by its environment variable. The
    /// service's name is that of the binary.
    #[must_use]
    pub fn config(self, key: &str, value: impl Into<String>) -> Self {
        let service = self
            .path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .to_uppercase()
            .replace('-', "_");
        let name = format!("BANYAN_{service}__{}", key.to_uppercase().replace('.', "__"));
        self.env(name, value)
    }

    /// Other arguments than `serve`.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Runs it to its end; for verbs other than `serve`.
    pub async fn output(&self) -> std::process::Output {
        self.command()
            .output()
            .await
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.path.display()))
    }

    /// Starts it on a free port and waits until it listens.
    pub async fn start(self) -> ServiceProcess {
        let mut process = self.spawn();
        let line = process.wait_log("listening", START_BOUND).await;
        process.address = address(&line).unwrap_or_else(|| panic!("no address in {line}"));
        process
    }

    /// Starts it on a free port, and does not wait: for one that may die at any moment. Its address is that of
    /// [`ServiceProcess::listens`].
    pub fn spawn(self) -> ServiceProcess {
        let started = Instant::now();
        let spawned = self.config("http.listen", "127.0.0.1:0");
        let mut child = spawned
            .command()
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", spawned.path.display()));
        let (lines, seen) = watch::channel(Vec::new());
        read(child.stdout.take().expect("stdout is piped"), lines.clone());
        read(child.stderr.take().expect("stderr is piped"), lines);
        ServiceProcess {
            child,
            lines: seen,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            started,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A running service; killed with this value.
#[derive(Debug)]
pub struct ServiceProcess {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
    address: SocketAddr,
    started: Instant,
}

impl ServiceProcess {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://<address><path>`
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The process id; 0 once it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until it says that everything it needs answers.
    pub async fn ready(&self) -> &Self {
        self.wait_log("ready", START_BOUND).await;
        self
    }

    /// Waits until it listens and returns where; `None` where it ended before.
    pub async fn listens(&self) -> Option<SocketAddr> {
        address(&self.find_log("listening", START_BOUND).await?)
    }

    /// Waits for a log line with this message and returns its fields.
    pub async fn wait_log(&self, message: &str, bound: Duration) -> Value {
        let found = self.find_log(message, bound).await;
        found.unwrap_or_else(|| {
            panic!(
                "no log line `{message}` within {bound:?}; the log was:\n{}",
                self.log()
            )
        })
    }

    /// The fields of the first log line with this message; `None` where it ended, or the time did, before there was one.
    async fn find_log(&self, message: &str, bound: Duration) -> Option<Value> {
        let mut lines = self.lines.clone();
        let wanted = |line: &String| {
            serde_json::from_str::<Value>(line)
                .ok()
                .filter(|fields| fields["message"] == message)
        };
        let found = tokio::time::timeout(
            bound,
            lines.wait_for(|lines| lines.iter().any(|line| wanted(line).is_some())),
        );
        match found.await {
            Ok(Ok(lines)) => lines.iter().find_map(wanted),
            _ => None,
        }
    }

    /// Everything that it has written, both streams.
    pub fn log(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// The memory that it uses now (resident set), in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let kilobytes = status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmRSS:")?
                    .trim()
                    .strip_suffix("kB")?
                    .trim()
                    .parse::<u64>()
                    .ok()
            })
            .unwrap_or_else(|| panic!("process {} does not run", self.pid()));
        kilobytes * 1024
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .filter(|pid| *pid > 0)
            .expect("the process runs");
        kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("{signal} cannot be sent: {error}"));
    }

    /// Asks it to stop (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends it without a chance to react (SIGKILL), and waits until it is gone.
    pub async fn kill9(&mut self) {
        self.child.kill().await.expect("a process can be killed");
    }

    /// Waits for its end, and until all that it has written is in the log.
    pub async fn exit(&mut self, bound: Duration) -> ExitStatus {
        let lines = &mut self.lines;
        let child = &mut self.child;
        let end = async {
            let status = child.wait().await;
            while lines.changed().await.is_ok() {}
            status
        };
        let Ok(status) = tokio::time::timeout(bound, end).await else {
            panic!(
                "the process did not end within {bound:?}; the log was:\n{}",
                self.log()
            );
        };
        status.expect("a child can be waited for")
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(mut self, bound: Duration) -> ExitStatus {
        self.terminate();
        self.exit(bound).await
    }
}

/// The address in the line that says where it listens.
fn address(line: &Value) -> Option<SocketAddr> {
    line["address"].as_str()?.parse().ok()
}

fn read(stream: impl AsyncRead + Unpin + Send + 'static, lines: watch::Sender<Vec<String>>) {
    tokio::spawn(async move {
        let mut reader = BufReader::new(stream).lines();
        while let Ok(Some(line)) = reader.next_line().await {
            lines.send_modify(|lines| {
                if lines.len() == KEPT_LINES {
                    lines.drain(..KEPT_LINES / 2);
                }
                lines.push(line);
            });
        }
    });
}
