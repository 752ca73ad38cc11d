//! Requests that nobody would think of, made from an OpenAPI document.

use std::path::Path;
use std::process::Command;

use banyan_local_stack::python::test_environment;

/// Cases of each operation in each phase.
const EXAMPLES: &str = "15";
/// The same requests each time.
const SEED: &str = "20260131";

/// Runs [schemathesis](https://schemathesis.readthedocs.io) with `document` against `base_url` as the bearer of `token`: no 5xx, no
/// undocumented answer, nothing invalid accepted. What is valid by the document may still be refused, such as an unknown link.
/// `selection` are options that choose operations.
pub async fn schemathesis(document: &Path, base_url: &str, token: &str, selection: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let venv = tokio::task::spawn_blocking(move || test_environment(&root))
        .await
        .expect("a task")
        .unwrap_or_else(|error| panic!("the Python environment for tests cannot be made: {error}"));
    let mut command = Command::new(venv.program("schemathesis"));
    command
        .arg("run")
        .arg(document)
        .args(["--url", base_url, "--workers", "1", "--seed", SEED])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            EXAMPLES,
        ])
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        .args(["--continue-on-failure", "--warnings", "off"])
        .args(selection)
        .env("NO_PROXY", "127.0.0.1")
        .current_dir(std::env::temp_dir());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("a task")
        .unwrap_or_else(|error| panic!("schemathesis cannot be run: {error}"));
    assert!(
        output.status.success(),
        "schemathesis {selection:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
