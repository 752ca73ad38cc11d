//! Doing a thing once: the [`inbox`] tells which events a consumer has handled, so that a redelivery is a no-op.

pub mod inbox;

/// The table of the inbox, as every consumer's database has it. Its text is part of migrations that are applied, so it is
/// frozen with the path in its first line, where it was when they were written.
pub const INBOX_SQL: &str = include_str!("../sql/inbox.v1.sql");
