//! The users service.

fn main() -> std::process::ExitCode {
    banyan_service_kit::main::<users::Users>()
}
