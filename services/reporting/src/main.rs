//! The reporting service.

fn main() -> std::process::ExitCode {
    banyan_service_kit::main::<reporting::Reporting>()
}
