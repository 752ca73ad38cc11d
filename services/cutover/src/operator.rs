//! Who works with the command line.

/// Who asks on the command line.
pub(crate) fn operator_at_the_terminal() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    format!("cli:{}", name.as_deref().unwrap_or("unknown"))
}
