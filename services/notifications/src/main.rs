//! The notifications service.

fn main() {}
