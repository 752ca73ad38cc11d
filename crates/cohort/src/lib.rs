//! The cohort decision: who is in a rollout, the same in nginx, Python and Rust.
