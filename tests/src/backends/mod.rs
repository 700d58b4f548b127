//! The backends that this repository tests.

pub mod local;
pub mod memory;
