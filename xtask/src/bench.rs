//! `cargo xtask bench`

use std::process::ExitCode;

use crate::root::cargo;
use crate::test;

/// A measurement: a name, and the cargo target that makes it. Each takes `--json` itself.
struct Bench {
    name: &'static str,
    package: &'static str,
    example: &'static str,
}

/// Add a line to add a measurement.
const BENCHES: [Bench; 2] = [
    Bench {
        name: "relay",
        package: "banyan-messaging",
        example: "bench_relay",
    },
    Bench {
        name: "notifications",
        package: "notifications",
        example: "bench_notifications",
    },
];

/// Names of the measurements.
pub(crate) fn names() -> Vec<&'static str> {
    BENCHES.iter().map(|bench| bench.name).collect()
}

/// Builds a measurement with optimisations and runs it.
pub(crate) fn bench(name: &str, json: bool) -> anyhow::Result<ExitCode> {
    let bench = BENCHES.iter().find(|bench| bench.name == name);
    let bench = bench.ok_or_else(|| anyhow::anyhow!("no measurement is called `{name}`"))?;
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        bench.package,
        "--example",
        bench.example,
    ]);
    command.args(json.then_some(["--", "--json"]).into_iter().flatten());
    test::finish(&mut command, name)
}
