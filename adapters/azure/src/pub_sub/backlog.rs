//! The backlog of a trigger: a subscription of Service Bus with its queue of dead letters, or a Storage Queue with its poison
//! queue.

mod service_bus;
mod storage_queue;

use std::sync::Arc;

use isobar_abstraction::driver::pub_sub::Backlog;
use isobar_abstraction::{Error, EventQueue, Result};

use super::wire::{self, Arrived};
use crate::State;
use crate::config::{Placed, no_queue};
use crate::profile::PROFILE;
use service_bus::BusBacklog;
use storage_queue::QueueBacklog;

/// Opens the backlog of a queue, without connecting. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
    let state = Arc::clone(state);
    match state.config.trigger(queue)? {
        Placed::ServiceBus { namespace, topic, subscription } => {
            Ok(Arc::new(BusBacklog::new(state, namespace, topic, subscription)))
        }
        Placed::Queue { account, queue: name } => Ok(Arc::new(QueueBacklog::new(state, account, name, queue.kind()))),
        _ => Err(no_queue(queue)),
    }
}

/// A message from its body and properties; one that is unreadable as it is stored.
fn arrived(body: &[u8], properties: Vec<(String, String)>, attempt: u32) -> Arrived {
    wire::open(body, properties.clone(), attempt).unwrap_or_else(|_| Arrived::raw(body, properties, attempt))
}

/// Only the management of Azure disables a function, not the services of messages.
fn not_paused() -> Error {
    let instead = "stop the app with `az functionapp stop --name APP --resource-group GROUP`";
    Error::unsupported("pause a queue", PROFILE.provider, instead)
}
