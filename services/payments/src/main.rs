//! The payments service.

fn main() -> std::process::ExitCode {
    banyan_service_kit::main::<payments::Payments>()
}
