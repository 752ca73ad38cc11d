//! The notifications service.

fn main() -> std::process::ExitCode {
    banyan_service_kit::main::<notifications::Notifications>()
}
