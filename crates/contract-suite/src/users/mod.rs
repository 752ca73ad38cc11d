//! Accounts, sessions, tokens.

mod account;
mod deletion;
mod login;
mod mailed;
mod sessions;
mod signup;
mod tokens;

use crate::check::Check;

pub(crate) fn checks() -> Vec<Check> {
    let groups = [
        signup::checks(),
        login::checks(),
        tokens::refresh(),
        tokens::logout(),
        account::reading(),
        account::changing(),
        deletion::checks(),
        mailed::reset(),
        mailed::confirm(),
        mailed::verify(),
        sessions::listing(),
        sessions::ending(),
    ];
    groups.into_iter().flatten().collect()
}
