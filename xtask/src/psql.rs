//! `cargo xtask psql`

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::bail;
use banyan_local_stack::postgres;
use banyan_local_stack::stack::StackRecord;

use crate::root::layout;
use crate::test;

/// Runs psql as a role of the running stack.
pub(crate) fn psql(role: &str, args: &[OsString]) -> anyhow::Result<ExitCode> {
    let record = StackRecord::load(&layout()?)?;
    let databases = || {
        record
            .credentials
            .iter()
            .filter_map(|(name, url)| Some((name.strip_prefix("database.")?, url)))
    };
    let Some((_, url)) = databases().find(|(name, _)| *name == role) else {
        let known: Vec<&str> = databases().map(|(name, _)| name).collect();
        if known.is_empty() {
            bail!("the stack was not started yet; `cargo xtask up` does");
        }
        bail!("no role is called `{role}`; there are {}", known.join(", "));
    };
    let mut command = Command::new(postgres::binaries()?.join("psql"));
    // By environment: the arguments of a process can be read by everybody.
    command.args(args).envs(environment(url));
    test::finish(&mut command, "psql")
}

/// libpq's variables for one of our own URLs, whose names and passwords need no escaping.
fn environment(url: &str) -> Vec<(&'static str, String)> {
    let rest = url.trim_start_matches("postgres://");
    let (login, place) = rest.split_once('@').unwrap_or(("", rest));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (address, database) = place.split_once('/').unwrap_or((place, ""));
    let (host, port) = address.split_once(':').unwrap_or((address, "5432"));
    let variables = [
        ("PGUSER", user),
        ("PGPASSWORD", password),
        ("PGHOST", host),
        ("PGPORT", port),
        ("PGDATABASE", database),
    ];
    variables.map(|(name, value)| (name, value.to_owned())).to_vec()
}

#[cfg(test)]
mod tests {
    use super::environment;

    #[test]
    fn the_parts_of_a_url_become_variables() {
        let parts: Vec<String> = environment("postgres://legacy:pw1@127.0.0.1:55432/legacy")
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        assert_eq!(parts, ["legacy", "pw1", "127.0.0.1", "55432", "legacy"]);
    }
}
