//! Workflows: the protocol as a model, what an app sees, and faults at every call.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod calls;
mod crash;
mod host;
mod model;
mod random;
mod replays;
mod runs;
mod support;
mod world;
