//! Developer tasks: cargo xtask up, down, status, logs, test, bench, tidy, generate.

fn main() {}
