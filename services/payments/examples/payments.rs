//! The payments service with its fail-points, for the crash matrix.
//!
//! An example is built with what tests are built with, and only together with them. The program `payments` would not do: a build of
//! that program alone, such as a local stack's, puts one without fail-points in its place while the tests run.

fn main() -> std::process::ExitCode {
    banyan_service_kit::main::<payments::Payments>()
}
