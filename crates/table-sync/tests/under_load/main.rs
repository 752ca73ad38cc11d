//! The engine while both sides are written all the time.

mod company;
mod crashes;
mod differences;
mod load;
