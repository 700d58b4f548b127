//! Moves that are interrupted, on sides that fail, while the app writes: nothing is lost, and nothing is brought back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // a test prints what it measured

mod damaged;
mod faults;
mod limits;
mod support;
mod writers;
