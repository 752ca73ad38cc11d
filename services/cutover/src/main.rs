//! The migration control plane.

fn main() -> std::process::ExitCode {
    banyan_service_kit::main::<cutover::Cutover>()
}
