//! `cargo xtask soak`

use std::process::ExitCode;

use crate::test;

/// Runs the tests of this name with their heavy counts: `BANYAN_SOAK=1`, and `BANYAN_SOAK_COUNT` where one is given.
pub(crate) async fn soak(name: &str, count: Option<u32>) -> anyhow::Result<ExitCode> {
    test::prepare().await?;
    test::servers().await?;
    test::build_binaries().await?;
    let mut command = test::rust_tests(Some(name));
    command.env("BANYAN_SOAK", "1");
    // The figures that a test tells are what a soak is run for; nextest and cargo's own runner hide them by default.
    command.env("NEXTEST_SUCCESS_OUTPUT", "immediate");
    command.env("RUST_TEST_NOCAPTURE", "1");
    if let Some(count) = count {
        command.env("BANYAN_SOAK_COUNT", count.to_string());
    }
    test::finish(&mut command, "the soak")
}
