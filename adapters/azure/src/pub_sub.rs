//! Topics in Service Bus or in Storage Queues, and the format of their messages.
//!
//! | | Service Bus | Storage Queues |
//! |---|---|---|
//! | a topic is | a topic; for messages with an ordering key a second one, `…--fifo` | a queue for each subscription |
//! | a message goes to | every subscription whose filter matches, see [`wire::FOR`] | every queue of `subscriptions=`, or the only one |
//! | dead letters | the queue `<subscription>--dead` | the queue `<queue>-poison` |
//! | order | by session | none: an ordering key is `Unsupported` |
//! | largest message | 262,144 bytes with its properties | [`storage_queue::LARGEST`] bytes, less than the portable limit |

pub(crate) mod backlog;
pub(crate) mod dead;
pub(crate) mod service_bus;
mod service_error;
pub(crate) mod settle;
pub(crate) mod storage_queue;
pub(crate) mod wire;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::Location;
use isobar_abstraction::driver::pub_sub::{Message, MessageId, PubSub, RawMessage};
use isobar_abstraction::{Error, Result};

use crate::State;
use crate::config::Placed;
use service_bus::ServiceBusPubSub;
use storage_queue::QueuePubSub;

/// Concurrent requests of one call of `publish`.
const CONCURRENCY: usize = 8;

/// Opens a topic. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn PubSub>> {
    match state.config.place(at)? {
        Placed::ServiceBus { namespace, topic, .. } => {
            Ok(Arc::new(ServiceBusPubSub::new(Arc::clone(state), namespace, topic)))
        }
        Placed::Queue { account, queue } => {
            let queues = storage_queue::subscriptions(at, queue)?;
            Ok(Arc::new(QueuePubSub::new(Arc::clone(state), account, queues)))
        }
        _ => Err(Error::config(format!("{at} is neither in Service Bus nor in a Storage Queue"))),
    }
}

/// The message as it will be delivered, with a new id.
fn identified(raw: RawMessage, now: SystemTime) -> Message<Bytes> {
    raw.into_message(new_id(now), now)
}

/// An id of 128 bits: the time, so that ids of different milliseconds never collide, and random bits.
fn new_id(now: SystemTime) -> MessageId {
    MessageId::new(format!("{:012x}{:020x}", to_millis(now) & 0xffff_ffff_ffff, fastrand::u128(..1 << 80)))
}

#[cfg(test)]
mod tests;
