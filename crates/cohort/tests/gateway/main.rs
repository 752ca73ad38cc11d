//! The gateway as it is deployed: the real nginx with the real template, asked over real connections.

mod agreement;
mod handing_over;
mod nginx;
mod proxying;
