//! `cargo xtask bench`

use std::process::ExitCode;

use banyan_local_stack::progress::Progress;
use banyan_local_stack::stack;

use crate::root::{cargo, root};
use crate::test;

/// A measurement: a name, and the cargo target that makes it. Each takes `--json` itself.
struct Bench {
    name: &'static str,
    package: &'static str,
    example: &'static str,
    /// What it is asked for, where one target makes several.
    arguments: &'static [&'static str],
    /// Whether it starts the programs, which are then built first.
    programs: bool,
}

/// Add a line to add a measurement.
const BENCHES: [Bench; 7] = [
    Bench {
        name: "relay",
        package: "banyan-messaging",
        example: "bench_relay",
        arguments: &[],
        programs: false,
    },
    Bench {
        name: "notifications",
        package: "notifications",
        example: "bench_notifications",
        arguments: &[],
        programs: false,
    },
    Bench {
        name: "charge",
        package: "payments",
        example: "bench_charge",
        arguments: &[],
        programs: true,
    },
    Bench {
        name: "footprint",
        package: "end-to-end",
        example: "bench_footprint",
        arguments: &[],
        programs: true,
    },
    Bench {
        name: "sync",
        package: "banyan-table-sync",
        example: "bench_tables",
        arguments: &["sync"],
        programs: false,
    },
    Bench {
        name: "validate",
        package: "banyan-table-sync",
        example: "bench_tables",
        arguments: &["validate"],
        programs: false,
    },
    Bench {
        name: "sync-load",
        package: "banyan-table-sync",
        example: "bench_tables",
        arguments: &["load", "--rounds", "15"],
        programs: false,
    },
];

/// Names of the measurements.
pub(crate) fn names() -> Vec<&'static str> {
    BENCHES.iter().map(|bench| bench.name).collect()
}

/// Builds a measurement with optimisations and runs it.
pub(crate) async fn bench(name: &str, json: bool) -> anyhow::Result<ExitCode> {
    let bench = BENCHES.iter().find(|bench| bench.name == name);
    let bench = bench.ok_or_else(|| anyhow::anyhow!("no measurement is called `{name}`"))?;
    if bench.programs {
        let step = Progress::detect().step("build", "building the programs");
        stack::build(&root(), true, &step).await?;
        step.done("built");
    }
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        bench.package,
        "--example",
        bench.example,
        "--",
    ]);
    command.args(bench.arguments).args(json.then_some("--json"));
    test::finish(&mut command, name)
}
