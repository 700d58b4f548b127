//! What the tests of several crates share: a server that answers what a test says, a log that a test reads, and the
//! app and the mutations with which the hosts' events are fuzzed. A dependency of tests alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod app;
mod double;
mod fuzz;
mod log;
mod mutate;

pub use app::{Acknowledgements, shop};
pub use double::Double;
pub use fuzz::{fixtures, fuzz};
pub use log::Log;
pub use mutate::{Mutant, Mutator};
