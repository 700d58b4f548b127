//! The chatbot against a fake of the services' Web APIs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod delivery;
mod fake_service;
mod secrets;
mod senders;
mod slack;
mod telegram;
