//! The reporting service.

fn main() {}
