//! What the sources and the build say of fail-points.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const MACRO: &str = "fail_points!(";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of all fail-points in the sources of the payments service and of the crates that it is made of.
pub(crate) fn named() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for sources in [
        "services/payments/src",
        "crates/idempotency/src",
        "crates/messaging/src",
    ] {
        read(&root().join(sources), &mut names);
    }
    names
}

fn read(path: &Path, names: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder of sources") {
            read(&entry.expect("an entry").path(), names);
        }
        return;
    }
    let text = std::fs::read_to_string(path).expect("a source");
    for (at, _) in text.match_indices(MACRO) {
        let name = text[at + MACRO.len()..].split('"').nth(1);
        names.insert(name.expect("a fail-point has a name").to_owned());
    }
}

/// What the service is built of where no test is built.
pub(crate) fn dependencies() -> String {
    let tree = [
        "tree",
        "--package",
        "payments",
        "--edges",
        "no-dev",
        "--prefix",
        "none",
        "--offline",
        "--locked",
    ];
    let output = Command::new(env!("CARGO"))
        .args(tree)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}
