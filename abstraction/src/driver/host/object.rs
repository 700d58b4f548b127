//! Changes of objects, with the names of a storage service.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use super::{deliver, excerpt};
use crate::event_queue::EventQueue;
use crate::function::Function;
use crate::{Context, Event, ObjectChange, ObjectEvent, Outcome, clock};

/// A change of an object in the form of a storage service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredChange {
    /// The name of the bucket in the service.
    pub bucket: String,
    /// The stored name of the object: see [`key`](crate::blob::key).
    pub stored: String,
    /// The kind of the change.
    pub change: ObjectChange,
    /// The time of the change; 1970 where the service reported none that can be read.
    pub time: SystemTime,
}

impl StoredChange {
    /// A change of the object `stored` in the bucket `bucket`, by their names in the service.
    pub fn new(bucket: impl Into<String>, stored: impl Into<String>, change: ObjectChange, time: SystemTime) -> Self {
        Self { bucket: bucket.into(), stored: stored.into(), change, time }
    }
}

/// Delivers the changes of one notification as events of the trigger with this queue. The name of its bucket in the service
/// is `stored_bucket`; a change of another bucket is rejected.
///
/// The result is one outcome for all of them, because the notification is acknowledged as a whole: the longest retry, if
/// there is one; otherwise a rejection, if there is one; otherwise an ack.
pub async fn deliver_changes(
    function: &dyn Function,
    queue: &EventQueue,
    stored_bucket: &str,
    changes: Vec<StoredChange>,
    cx: &Context,
) -> Outcome {
    let deliver = async |change: StoredChange| {
        if change.bucket != stored_bucket {
            let found = excerpt(&change.bucket);
            return Outcome::reject(format!("the event is for the bucket `{found}`, expected `{stored_bucket}`"));
        }
        let time = clock::sent_at(change.time, cx.now());
        let event = ObjectEvent::new(queue.source(), &change.stored, change.change, time);
        deliver(function, Event::Object { trigger: queue.name().to_owned(), event }, cx.clone()).await
    };
    let outcomes = join_all(changes.into_iter().map(deliver)).await;
    outcomes.into_iter().max_by_key(weight).unwrap_or(Outcome::Ack)
}

fn weight(outcome: &Outcome) -> (u8, Duration) {
    match outcome {
        Outcome::Ack => (0, Duration::ZERO),
        Outcome::Reject { .. } => (1, Duration::ZERO),
        Outcome::Retry { after, .. } => (2, after.unwrap_or_default()),
    }
}
