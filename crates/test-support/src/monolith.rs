//! The monolith's database, made by Django's own migrations and filled by its own seeder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use banyan_local_stack::python::test_environment;

/// How much of a company's history a monolith's database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Company {
    /// Accounts.
    pub users: u32,
    /// Payments with all that belongs to them; with 60 users and 400 payments every status occurs.
    pub payments: u32,
}

impl Company {
    /// The tables, and what the migrations bring, alone.
    pub const EMPTY: Self = Self {
        users: 0,
        payments: 0,
    };
    /// As few as show every status.
    pub const SMALL: Self = Self {
        users: 60,
        payments: 400,
    };

    /// Makes the monolith's tables in the empty database at `url`, and fills them.
    pub async fn found(self, url: &str) {
        manage_monolith(url, &["migrate", "--verbosity", "0"]).await;
        if self != Self::EMPTY {
            let (users, payments) = (self.users.to_string(), self.payments.to_string());
            manage_monolith(
                url,
                &["seed", "--json", "--users", &users, "--payments", &payments],
            )
            .await;
        }
    }

    /// Changes with whatever could change the tables and their rows.
    pub(crate) fn fingerprint(self) -> Vec<u8> {
        let mut sources = Vec::new();
        for part in ["monolith", "clients/python/src"] {
            python_files(&repository().join(part), &mut sources);
        }
        sources.sort();
        let mut bytes = [self.users.to_be_bytes(), self.payments.to_be_bytes()].concat();
        for source in sources {
            bytes.extend(fs::read(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display())));
        }
        bytes
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the monolith's `manage.py` on the database at `url`; what it printed.
pub async fn manage_monolith(url: &str, args: &[&str]) -> String {
    let url = url.to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let task = tokio::task::spawn_blocking(move || {
        let python = test_environment(&repository())
            .unwrap_or_else(|error| panic!("the Python environment for tests cannot be made: {error}"))
            .program("python");
        let output = Command::new(python)
            .arg("manage.py")
            .args(&args)
            .env("DJANGO_SETTINGS_MODULE", "monolith.settings_test")
            .env("BANYAN_TEST_POSTGRES_URL", url)
            .current_dir(repository().join("monolith"))
            .output()
            .unwrap_or_else(|error| panic!("manage.py {args:?} cannot be run: {error}"));
        assert!(
            output.status.success(),
            "manage.py {args:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    task.await.expect("manage.py runs")
}

/// Those that are no tests.
fn python_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for path in entries.map(|entry| entry.expect("an entry of the directory").path()) {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && !matches!(name, "tests" | "testing") && !name.starts_with('.') {
            python_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "py") {
            found.push(path);
        }
    }
}
