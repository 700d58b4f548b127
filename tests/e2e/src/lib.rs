//! isobar on emulators of the clouds, on doubles of services without an emulator, and on the hosts; and its apps there.
//!
//! The targets run the [conformance suite](isobar_conformance) and the apps on the [`backends`] of this crate.

pub mod backends;
pub mod built;
pub mod crash;
pub mod emulators;
pub mod foreign_names;
pub mod functions_host;
pub mod mappings;
pub mod moved;
pub mod permissions;
mod server;
pub mod telegram;
pub mod transcript;
