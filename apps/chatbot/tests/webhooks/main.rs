//! The chatbot against a stand-in for the services' Web APIs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod delivery;
mod secrets;
mod senders;
mod slack;
mod stand_in;
mod telegram;
