//! Shared parts of tests: a server with scripted responses, a log that a test can read, a manifest of every kind, and
//! the app and the mutations of the fuzz tests of hosts. A dependency of tests only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

mod app;
mod declared;
mod double;
mod fuzz;
mod log;
mod mutate;

pub use app::{Acknowledgements, shop};
pub use declared::{declared, granted_on};
pub use double::Double;
pub use fuzz::{fixtures, fuzz};
pub use log::Log;
pub use mutate::{Mutant, Mutator};
