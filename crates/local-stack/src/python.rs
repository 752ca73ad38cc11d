//! A Python environment of our own, made again only when its requirements change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};

use crate::error::{IoContext as _, StackError};
use crate::process::{find_program, run};

/// A Python 3.11 or newer that can make environments.
pub fn interpreter() -> Result<PathBuf, StackError> {
    const CHECK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    [
        "python3",
        "python3.14",
        "python3.13",
        "python3.12",
        "python3.11",
        "/usr/bin/python3",
    ]
    .iter()
    .filter_map(|name| find_program(Path::new(name)).ok())
    .find(|path| {
        Command::new(path)
            .args(["-c", CHECK])
            .output()
            .is_ok_and(|output| output.status.success())
    })
    .ok_or_else(|| StackError::Missing {
        program: "Python 3.11 or newer with venv".to_owned(),
        mend: "install the packages `python3` and `python3-venv` (`cargo xtask up` does)".to_owned(),
    })
}

/// The environment of the tests, `target/test-venv`: the monolith's requirements, the Python client, pytest and a newer
/// PostgreSQL. Made when it is missing or stale; test processes that come at the same time wait for the one that makes it.
pub fn test_environment(root: &Path) -> Result<Venv, StackError> {
    let venv = Venv::at(&crate::test_servers::target_dir().join("test-venv"));
    let root = fs::canonicalize(root).at("resolve", root)?;
    venv.ensure(&Requirements {
        files: [
            "monolith/requirements-test.txt",
            "clients/python/requirements-test.txt",
            "crates/test-support/requirements.txt",
        ]
        .map(|file| root.join(file))
        .to_vec(),
        lines: Vec::new(),
        editable: vec![(root.join("clients/python"), "[telemetry]")],
    })?;
    Ok(venv)
}

/// A virtual environment.
#[derive(Debug, Clone)]
pub struct Venv {
    dir: PathBuf,
}

/// What goes into an environment.
#[derive(Debug, Clone, Default)]
pub struct Requirements {
    /// Requirement files.
    pub files: Vec<PathBuf>,
    /// Requirement lines.
    pub lines: Vec<String>,
    /// Projects of this repository, installed so that edits take effect at once; each with its extras, such as
    /// `clients/python[telemetry]`.
    pub editable: Vec<(PathBuf, &'static str)>,
}

impl Venv {
    /// The environment in `dir`, whether it exists or not.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// A program of the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// A directory that a package of the environment brings, such as `numpy/_core/include`.
    pub fn package_dir(&self, path: &str) -> Result<PathBuf, StackError> {
        const PLACE: &str = "import sysconfig; print(sysconfig.get_path('platlib'))";
        let place = run(Command::new(self.program("python")).args(["-c", PLACE]))?;
        let dir = Path::new(place.trim()).join(path);
        if dir.is_dir() {
            return Ok(dir);
        }
        Err(StackError::Missing {
            program: dir.display().to_string(),
            mend: "remove the environment, so that it is made again".to_owned(),
        })
    }

    /// Makes the environment what the requirements say. Returns whether anything had to be done.
    pub fn ensure(&self, requirements: &Requirements) -> Result<bool, StackError> {
        let _lock = self.lock()?;
        let interpreter = interpreter()?;
        let wanted = requirements.fingerprint(&interpreter)?;
        let mark = self.dir.join("requirements.sha256");
        if fs::read_to_string(&mark).is_ok_and(|found| found == wanted) && self.program("python").exists() {
            return Ok(false);
        }
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).at("remove", &self.dir)?;
        }
        run(Command::new(&interpreter).args(["-m", "venv"]).arg(&self.dir))?;
        let mut pip = Command::new(self.program("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]);
        for file in &requirements.files {
            pip.arg("-r").arg(file);
        }
        for (project, extras) in &requirements.editable {
            pip.arg("-e").arg(format!("{}{extras}", project.display()));
        }
        pip.args(&requirements.lines);
        let something = !(requirements.files.is_empty()
            && requirements.lines.is_empty()
            && requirements.editable.is_empty());
        // pip takes no requirement at all for a mistake.
        if something {
            run(&mut pip)?;
        }
        fs::write(&mark, wanted).at("write", &mark)?;
        Ok(true)
    }

    /// Waits for others that make the same environment.
    fn lock(&self) -> Result<Flock<fs::File>, StackError> {
        let path = self.dir.with_extension("lock");
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).at("create", parent)?;
        }
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .at("open", &path)?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| std::io::Error::from(error))
            .at("lock", &path)
    }
}

impl Requirements {
    /// Changes with every file that says what to install, and with the interpreter.
    fn fingerprint(&self, interpreter: &Path) -> Result<String, StackError> {
        let mut hash = Sha256::new();
        hash.update(run(
            Command::new(interpreter).args(["-c", "import sys; print(sys.version, sys.prefix)"])
        )?);
        for file in &self.files {
            hash.update(fs::read(file).at("read", file)?);
        }
        for line in &self.lines {
            hash.update(line);
        }
        for (project, extras) in &self.editable {
            let manifest = project.join("pyproject.toml");
            hash.update(fs::read(&manifest).at("read", &manifest)?);
            hash.update(project.as_os_str().as_encoded_bytes());
            hash.update(extras);
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_made_once_and_not_called_made_when_it_failed() {
        let dir = tempfile::tempdir().unwrap();
        let venv = Venv::at(&dir.path().join("venv"));
        let missing = dir.path().join("no-such-project-here").display().to_string();
        let unavailable = Requirements {
            lines: vec![missing],
            ..Requirements::default()
        };
        let error = venv.ensure(&unavailable).unwrap_err().to_string();
        assert!(error.contains("no-such-project-here"), "{error}");
        assert!(
            !dir.path().join("venv/requirements.sha256").exists(),
            "it is made again next time"
        );

        let nothing = Requirements::default();
        assert!(venv.ensure(&nothing).unwrap());
        assert!(!venv.ensure(&nothing).unwrap(), "nothing changed");
        let prefix =
            run(Command::new(venv.program("python")).args(["-c", "import sys; print(sys.prefix)"])).unwrap();
        assert_eq!(
            fs::canonicalize(prefix.trim()).unwrap(),
            fs::canonicalize(dir.path().join("venv")).unwrap()
        );
    }

    #[test]
    fn the_fingerprint_follows_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("requirements.txt");
        let python = interpreter().unwrap();
        let fingerprint = |text: &str| {
            fs::write(&file, text).unwrap();
            let requirements = Requirements {
                files: vec![file.clone()],
                ..Requirements::default()
            };
            requirements.fingerprint(&python).unwrap()
        };
        assert_eq!(fingerprint("a==1\n"), fingerprint("a==1\n"));
        assert_ne!(fingerprint("a==1\n"), fingerprint("a==2\n"));
    }
}
