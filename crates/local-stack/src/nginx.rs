//! The gateway: a private nginx with a configuration rendered from the template in `deploy/nginx`.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use nix::sys::signal::Signal;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::{IoContext as _, StackError};
use crate::process::{Identity, Spawn, find_program, run};
use crate::python::hex;
use crate::run_as::{RunAs, private_dir};

/// How long nginx may take to answer with a new configuration after it was told to reload.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(15);

/// nginx's JavaScript module; `None` where it is not installed.
pub fn js_module() -> Option<PathBuf> {
    [
        "/usr/lib/nginx/modules",
        "/usr/lib64/nginx/modules",
        "/usr/share/nginx/modules",
        "/usr/local/lib/nginx/modules",
    ]
    .iter()
    .map(|dir| Path::new(dir).join("ngx_http_js_module.so"))
    .find(|path| path.is_file())
}

/// A private nginx: its files are under one directory, and it runs as an unprivileged account throughout.
#[derive(Debug, Clone)]
pub struct Nginx {
    dir: PathBuf,
    templates: PathBuf,
    account: Option<RunAs>,
}

/// What one gateway does differently from another; the template's top describes each variable.
#[derive(Debug, Clone, Serialize)]
pub struct GatewaySettings {
    /// Address and port to listen on.
    pub listen: String,
    /// Address and port of the monolith.
    pub legacy: String,
    /// The domains that are being moved.
    pub splits: Vec<Split>,
    /// Where the access log goes by syslog as well.
    pub syslog: Option<String>,
}

/// One domain that is being moved.
#[derive(Debug, Clone, Serialize)]
pub struct Split {
    /// Letters, digits and `_`.
    pub name: String,
    /// The location, with both slashes.
    pub prefix: String,
    /// The rollout whose cohort decides.
    pub rollout: String,
    /// 0 to 10000.
    pub basis_points: u16,
    /// Address and port of the service.
    pub upstream: String,
    /// Addresses below the prefix that are no user's: the service has them as soon as it has any user.
    pub shared: Vec<String>,
}

/// The template's variables: the settings, and what follows from where this nginx lives.
#[derive(Serialize)]
struct Variables<'a> {
    #[serde(flatten)]
    settings: &'a GatewaySettings,
    generation: &'a str,
    prefix: &'a Path,
    js_module: PathBuf,
}

impl Nginx {
    /// An nginx under `dir` that uses the template `gateway.conf.jinja` and the scripts in `templates`.
    pub fn new(dir: &Path, templates: &Path) -> Result<Self, StackError> {
        let account = RunAs::unprivileged(&["www-data", "nginx"])?;
        private_dir(dir, account.as_ref())?;
        let dir = fs::canonicalize(dir).at("resolve", dir)?;
        Ok(Self {
            dir,
            templates: templates.to_owned(),
            account,
        })
    }

    /// Renders the template, has nginx test the result and puts it in place. Returns its generation, and whether it
    /// differs from what was there.
    pub fn configure(&self, settings: &GatewaySettings) -> Result<(String, bool), StackError> {
        for script in self.scripts()? {
            self.install(
                &script,
                &fs::read(self.templates.join(&script)).at("read", &self.templates.join(&script))?,
            )?;
        }
        let draft = self.render(settings, "")?;
        let generation = hex(&Sha256::digest(self.hashed(&draft)?))[..12].to_owned();
        let text = self.render(settings, &generation)?;
        let place = self.dir.join("gateway.conf");
        if fs::read_to_string(&place).is_ok_and(|found| found == text) {
            return Ok((generation, false));
        }
        self.install("gateway.conf.new", text.as_bytes())?;
        let mut trial = Command::new(find_program(Path::new("nginx"))?);
        trial
            .args(["-t", "-q"])
            .args(self.arguments("gateway.conf.new"))
            .current_dir(&self.dir);
        if let Some(account) = &self.account {
            trial.uid(account.uid).gid(account.gid);
        }
        run(&mut trial)?;
        let new = self.dir.join("gateway.conf.new");
        fs::rename(&new, &place).at("move into place", &place)?;
        Ok((generation, true))
    }

    /// The process that serves the configuration in place.
    pub fn spawn(&self, log: &Path) -> Spawn {
        Spawn::new("gateway", "nginx", log)
            .args(self.arguments("gateway.conf"))
            .args(["-g", "daemon off;"])
            .dir(&self.dir)
            .run_as(self.account.as_ref())
    }

    /// Has the running nginx take the configuration in place, and waits until it answers with that generation.
    pub async fn reload(
        &self,
        process: &Identity,
        generation_url: &str,
        generation: &str,
    ) -> Result<(), StackError> {
        if !process.signal(Signal::SIGHUP) {
            return Err(StackError::Other(
                "the gateway does not run; `cargo xtask up` starts it".to_owned(),
            ));
        }
        let begin = Instant::now();
        loop {
            let found = answer(generation_url).await;
            if found.as_deref() == Some(generation) {
                return Ok(());
            }
            if begin.elapsed() > RELOAD_TIMEOUT {
                return Err(StackError::Server {
                    server: "gateway".to_owned(),
                    message: format!(
                        "still serves generation {} instead of {generation} after {}s; see its log",
                        found.as_deref().unwrap_or("(no answer)"),
                        RELOAD_TIMEOUT.as_secs()
                    ),
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn arguments(&self, file: &str) -> [String; 6] {
        let dir = self.dir.display().to_string();
        let file = self.dir.join(file).display().to_string();
        // -e: before the configuration is read, nginx would open the machine's error log.
        [
            "-p".to_owned(),
            dir,
            "-e".to_owned(),
            "stderr".to_owned(),
            "-c".to_owned(),
            file,
        ]
    }

    fn render(&self, settings: &GatewaySettings, generation: &str) -> Result<String, StackError> {
        let path = self.templates.join("gateway.conf.jinja");
        let source = fs::read_to_string(&path).at("read", &path)?;
        let js_module = js_module().ok_or_else(|| StackError::Missing {
            program: "nginx's JavaScript module (ngx_http_js_module.so)".to_owned(),
            mend: "install the package `libnginx-mod-http-js` (`cargo xtask up` does)".to_owned(),
        })?;
        let variables = Variables {
            settings,
            generation,
            prefix: &self.dir,
            js_module,
        };
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let rendered = environment.render_str(&source, Serde(variables));
        rendered.map_err(|error| StackError::Other(format!("{}: {error:#}", path.display())))
    }

    /// The scripts beside the template.
    fn scripts(&self) -> Result<Vec<String>, StackError> {
        let entries = fs::read_dir(&self.templates).at("read", &self.templates)?;
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let is_script = |name: &String| {
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "js")
        };
        let mut scripts: Vec<String> = names.filter(is_script).collect();
        scripts.sort();
        Ok(scripts)
    }

    /// Everything that a new generation must come from: the configuration and the scripts.
    fn hashed(&self, draft: &str) -> Result<Vec<u8>, StackError> {
        let mut bytes = draft.as_bytes().to_vec();
        for script in self.scripts()? {
            let path = self.templates.join(script);
            bytes.extend(fs::read(&path).at("read", &path)?);
        }
        Ok(bytes)
    }

    fn install(&self, name: &str, content: &[u8]) -> Result<(), StackError> {
        let path = self.dir.join(name);
        fs::write(&path, content).at("write", &path)?;
        match &self.account {
            Some(account) => account.own(&path),
            None => Ok(()),
        }
    }
}

async fn answer(url: &str) -> Option<String> {
    let answer = crate::http::client().get(url).send().await.ok()?;
    Some(answer.text().await.ok()?.trim().to_owned())
}
