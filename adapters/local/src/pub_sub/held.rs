//! The leases of the tools of this process.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::EventQueue;
use isobar_abstraction::driver::pub_sub::Message;
use parking_lot::Mutex;

/// What the tools of this process lease.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Whether an app of this process has subscribed, which ended the leases of other processes.
    pub(super) subscribed: AtomicBool,
    pub(super) queues: Mutex<HashMap<EventQueue, HeldOfQueue>>,
}

#[derive(Debug, Default)]
pub(super) struct HeldOfQueue {
    /// The end of the lease and the message, by sequence.
    pub(super) waiting: HashMap<u64, (SystemTime, Message<Bytes>)>,
    pub(super) dead: HashMap<u64, SystemTime>,
}
