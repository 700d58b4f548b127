//! Events of an app, from the messages of the local queue.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar_abstraction::driver::pub_sub::{DEFAULT_SUBSCRIPTION, Message};
use isobar_abstraction::driver::{Clock, ResourceKind};
use isobar_abstraction::{Context, Event};

use crate::profile::PROFILE;
use crate::pub_sub::Source;

/// The context of a new invocation with this timeout.
pub(crate) fn context(clock: &Arc<dyn Clock>, timeout: Duration) -> Context {
    Context::new(PROFILE.provider, Arc::clone(clock)).with_timeout(timeout)
}

/// The event of a message. Errors: a stored object event that cannot be parsed.
pub(crate) fn event(source: &Source, subscription: &str, message: Message<Bytes>) -> serde_json::Result<Event> {
    if source.kind() == ResourceKind::Bucket {
        let trigger = DEFAULT_SUBSCRIPTION.to_owned();
        return serde_json::from_slice(&message.body).map(|event| Event::Object { trigger, event });
    }
    Ok(Event::Message { topic: source.name().to_owned(), subscription: subscription.to_owned(), message })
}
