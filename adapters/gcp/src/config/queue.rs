//! The queue of a trigger in Pub/Sub: a topic, which all queues of a source share, and a subscription.

use isobar_abstraction::driver::{Derived, Location, ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, EventQueue, Result};

use super::{Endpoint, GcpConfig, Placement};

/// The largest size of the name of a topic or a subscription.
/// <https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names>
const NAME_BYTES: usize = 255;

/// The queue of a trigger. A project of `None` means that of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuePlacement {
    pub(crate) endpoint: Endpoint,
    pub(crate) project: Option<String>,
    pub(crate) topic: String,
    pub(crate) subscription: String,
    /// The topic, the bucket or the collection.
    pub(crate) source: Placement,
}

impl QueuePlacement {
    /// The topic of the dead letters, and the subscription that stores them.
    pub(crate) fn dead_letters(&self) -> String {
        Derived::DeadLetters.of(&self.subscription)
    }

    /// The name of the source in its service.
    pub(crate) fn source_name(&self) -> &str {
        match &self.source {
            Placement::PubSub { topic: name, .. }
            | Placement::Storage { bucket: name, .. }
            | Placement::Firestore { collection: name, .. } => name,
        }
    }
}

impl GcpConfig {
    /// The queue of a trigger. Errors: `Config` for a source that is not on Google Cloud, and for a name that Pub/Sub
    /// rejects.
    pub(crate) fn queue(&self, queue: &EventQueue) -> Result<QueuePlacement> {
        let source = self.placement(&self.location(queue.kind(), queue.source()))?;
        let placement = match &source {
            Placement::PubSub { .. } => source.clone(),
            Placement::Storage { bucket, .. } => self.derived_topic(queue, Derived::Events, bucket)?,
            Placement::Firestore { collection, .. } => self.derived_topic(queue, Derived::Writes, collection)?,
        };
        let Placement::PubSub { endpoint, project, topic } = placement else {
            return Err(Error::internal("bug in isobar: the queue of a trigger is not in Pub/Sub; please report it"));
        };
        let subscription = queue.physical(&topic);
        let place = QueuePlacement { endpoint, project, topic, subscription, source };
        let longest = place.dead_letters();
        if longest.len() > NAME_BYTES {
            return Err(Error::config(format!(
                "{queue} needs the subscription `{longest}` of Pub/Sub, whose name has more than {NAME_BYTES} characters: use \
                 shorter names"
            )));
        }
        Ok(place)
    }

    /// The topic that receives the events of a bucket or the writes of a table.
    fn derived_topic(&self, queue: &EventQueue, derived: Derived, source: &str) -> Result<Placement> {
        let url = ResourceUrl::parse(&format!("pubsub://{}", derived.of(source)))?;
        self.placement(&Location::new(ResourceKind::Topic, derived.of(queue.source())).with_url(url))
    }
}
