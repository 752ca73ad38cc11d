//! The payments service.

fn main() {}
