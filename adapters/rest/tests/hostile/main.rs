//! The client against a faulty server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken;
mod caller;
mod deadline;
mod double;
mod limits;
mod object;
mod outcome;
mod pool;
mod proxy;
mod retry;
mod secrets;
mod tls;
