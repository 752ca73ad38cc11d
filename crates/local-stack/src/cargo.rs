//! Running cargo from a program that cargo runs.

use std::path::Path;
use std::process::Command;

/// What `cargo run` and test runners say of the package that they run.
const OF_THE_PACKAGE: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_"];

/// The cargo that runs this program, in `root`, without what it has told this program of its own package: build scripts that look
/// at those variables, such as ring's, would run again, and half of the dependencies would be compiled anew each time.
pub fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let is_of_the_package = |name: &str| OF_THE_PACKAGE.iter().any(|prefix| name.starts_with(prefix));
        if name.to_str().is_some_and(is_of_the_package) {
            cargo.env_remove(&name);
        }
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_told_nothing_of_the_package_that_asks() {
        let cargo = cargo(Path::new("/"));
        let removed: Vec<_> = cargo
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .filter_map(|(name, _)| name.to_str())
            .collect();
        // Whoever runs the tests sets these for them.
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
            assert!(removed.contains(&name), "{name} is not among {removed:?}");
        }
        assert!(!removed.contains(&"CARGO"));
    }
}
