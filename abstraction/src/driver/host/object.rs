//! Changes of objects, by the names of a storage service.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use super::{deliver, excerpt};
use crate::function::Function;
use crate::{Context, Event, ObjectChange, ObjectEvent, Outcome, clock};

/// A change of an object as a storage service reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredChange {
    /// The bucket's name in the service.
    pub bucket: String,
    /// The object's name in the service.
    pub stored: String,
    /// What happened.
    pub change: ObjectChange,
    /// When.
    pub time: SystemTime,
}

impl StoredChange {
    /// A change of the object `stored` in the bucket `bucket`, by their names in the service.
    pub fn new(bucket: impl Into<String>, stored: impl Into<String>, change: ObjectChange, time: SystemTime) -> Self {
        Self { bucket: bucket.into(), stored: stored.into(), change, time }
    }
}

/// Delivers changes that came together as events of the bucket with the logical name `bucket`, which is called
/// `place` in the service; a change in another place is rejected.
///
/// Their outcomes become one, because they cannot be acknowledged apart: what asks for another delivery outweighs
/// what gives up, and that what is done.
pub async fn deliver_changes(
    function: &dyn Function,
    bucket: &str,
    place: &str,
    changes: Vec<StoredChange>,
    cx: &Context,
) -> Outcome {
    let deliver = async |change: StoredChange| {
        if change.bucket != place {
            let found = excerpt(&change.bucket);
            return Outcome::reject(format!("the event is for the bucket `{found}`, expected `{place}`"));
        }
        let time = clock::sent_at(change.time, cx.now());
        let event = ObjectEvent::new(bucket, &change.stored, change.change, time);
        deliver(function, Event::Object(event), cx.clone()).await
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
