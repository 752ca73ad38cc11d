//! `cutover sync`, `validate` and `repair` as an operator types them, between the monolith's own tables and the payments service's.

mod api;
mod operate;
mod role;
mod world;
