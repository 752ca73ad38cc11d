//! The migration control plane.

fn main() {}
