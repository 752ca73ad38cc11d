//! The real nginx with the real template on a free port.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use tempfile::TempDir;

/// One domain that is being moved.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Split {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) rollout: String,
    pub(crate) basis_points: u16,
    pub(crate) upstream: SocketAddr,
    pub(crate) shared: Vec<String>,
}

/// A running nginx; ends with the value.
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    process: Child,
    dir: TempDir,
}

impl Gateway {
    pub(crate) fn start(legacy: SocketAddr, splits: &[Split]) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let addr = unused_port();
        let configuration = dir.path().join("nginx.conf");
        std::fs::write(&configuration, render(dir.path(), addr, legacy, splits)).expect("configuration");
        let mut process = Command::new("nginx")
            .arg("-p")
            .arg(dir.path())
            .arg("-c")
            .arg(&configuration)
            // One process without workers: killing it leaves nothing behind.
            .args(["-e", "stderr", "-g", "daemon off; master_process off;"])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is not installed (`cargo xtask up --no-install` names the packages)");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(addr).is_err() {
            let ended = process.try_wait().expect("nginx");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "nginx does not start: see its messages above"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { addr, process, dir }
    }

    /// Sends one request as it stands and gives the whole answer, once the gateway has closed the connection.
    pub(crate) fn ask(&self, request: &str) -> String {
        self.exchange(request, false)
    }

    /// As [`ask`](Self::ask), but lets the gateway know that nothing more comes: it would wait for the rest of a body that it
    /// refused.
    pub(crate) fn ask_and_end(&self, request: &str) -> String {
        self.exchange(request, true)
    }

    fn exchange(&self, request: &str, end: bool) -> String {
        let mut stream = TcpStream::connect(self.addr).expect("gateway");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("timeout");
        stream.write_all(request.as_bytes()).expect("sent");
        if end {
            stream.shutdown(Shutdown::Write).expect("ended");
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answer");
        answer
    }

    /// A GET with these further header lines.
    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> String {
        let headers = [headers, &[""]].concat().join("\r\n");
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: shop.test:8080\r\nConnection: close\r\n{headers}\r\n"
        ))
    }

    /// For each path and token, in this order, the backend the gateway names; pipelined over one connection.
    pub(crate) fn backends<'a>(&self, requests: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
        let mut stream = TcpStream::connect(self.addr).expect("gateway");
        stream.set_nodelay(true).expect("option");
        let mut reader = BufReader::new(stream.try_clone().expect("stream"));
        let (mut answers, mut batch, mut asked, mut line) = (Vec::new(), String::new(), 0, String::new());
        let mut requests = requests.peekable();
        while let Some((path, token)) = requests.next() {
            let _ = write!(
                batch,
                "GET {path} HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            asked += 1;
            if asked % 100 != 0 && requests.peek().is_some() {
                continue;
            }
            stream.write_all(batch.as_bytes()).expect("sent");
            batch.clear();
            while answers.len() < asked {
                line.clear();
                assert!(
                    reader.read_line(&mut line).expect("answer") > 0,
                    "the gateway hung up"
                );
                if let Some(backend) = line.strip_prefix("X-Migration-Backend: ") {
                    answers.push(backend.trim_end().to_owned());
                }
            }
        }
        answers
    }

    /// The lines of the access log so far.
    pub(crate) fn access_log(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.dir.path().join("access.log")).expect("access log");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A token of the shape the gateway reads; its signature is nobody's.
pub(crate) fn token(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.{}",
        part(r#"{"alg":"EdDSA"}"#),
        part(claims),
        part("not a signature")
    )
}

/// A port that was free a moment ago.
pub(crate) fn unused_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("port")
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("repository")
}

/// The variables of the template, which documents them.
#[derive(Serialize)]
struct Configuration<'a> {
    listen: SocketAddr,
    generation: &'a str,
    prefix: &'a Path,
    js_module: &'a Path,
    legacy: SocketAddr,
    splits: &'a [Split],
}

fn render(dir: &Path, listen: SocketAddr, legacy: SocketAddr, splits: &[Split]) -> String {
    let source = repository().join("deploy/nginx");
    std::fs::copy(source.join("identity.js"), dir.join("identity.js")).expect("identity.js");
    let template = std::fs::read_to_string(source.join("gateway.conf.jinja")).expect("template");
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let configuration = Configuration {
        listen,
        generation: "test-1",
        prefix: dir,
        js_module: Path::new("/usr/lib/nginx/modules/ngx_http_js_module.so"),
        legacy,
        splits,
    };
    environment
        .render_str(&template, Serde(&configuration))
        .expect("rendered")
}
