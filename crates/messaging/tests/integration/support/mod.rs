//! What the tests share.

mod handler;
mod stage;
mod tap;

pub(crate) use handler::{Consuming, KINDS, Script, consume, metrics_text, post_on, quick};
pub(crate) use stage::{Relaying, Stage, own_pool, sample};
pub(crate) use tap::{Seen, Tap, assert_complete};

use std::time::Duration;

/// Nothing in these tests takes longer on a busy machine, unless it is broken.
pub(crate) const SOON: Duration = Duration::from_secs(30);
