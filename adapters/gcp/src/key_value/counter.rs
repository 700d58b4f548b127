//! Counters: Firestore's own addition, and the cases that it cannot do.

use isobar_abstraction::driver::key_value::{Key, add_to_counter};
use isobar_abstraction::{Error, Result};
use isobar_rest::Safety;
use serde_json::json;

use super::commit::{Change, Document, Precondition, Sent, Written};
use super::service_error::is_condition;
use super::stored::{Found, Typed};
use super::{FirestoreKeyValue, TRIES};
use crate::profile::PROFILE;
use isobar_rest::attempt::{counter_contention, pause, unique_id, write_back};

/// Counters and additions up to which Firestore adds by itself: it knows no limit but the ends of 64 bits, so what
/// is nearer to ours is read and written back. No million additions are under way at once.
const FAR: u64 = 1 << 52;
const SMALL: u64 = 1 << 32;

impl FirestoreKeyValue {
    /// Reads, and adds. Firestore would make a counter of what is none, which the reading prevents; a counter
    /// lies in a field of its own, so that not even a put in between is lost.
    ///
    /// Errors: `Conflict` where other writes were faster every time, `Throttled` where they held the document.
    pub(super) async fn add_item(&self, key: &Key, delta: i64) -> Result<i64> {
        for attempt in 0..TRIES {
            let found = self.read(key).await?;
            let current = found.as_ref().filter(|found| !found.has_expired(self.clock.now())).and_then(Found::counter);
            let sum = match current.filter(|current| current.unsigned_abs() < FAR && delta.unsigned_abs() < SMALL) {
                Some(current) => self.add_natively(key, current, delta).await?,
                None => {
                    let item = found.map(|found| found.into_item(key.clone(), self.clock.now())).transpose()?;
                    write_back(self, key, delta, item.flatten(), PROFILE.limits.counter_max_abs).await?
                }
            };
            if let Some(sum) = sum {
                return Ok(sum);
            }
            pause(&*self.clock, attempt).await;
        }
        Err(counter_contention(key, TRIES, "write it with `add` only"))
    }

    /// `None` where the item is gone. Never repeated where it may have been counted: that would count twice.
    /// Then the mark may tell that it was.
    async fn add_natively(&self, key: &Key, current: i64, delta: i64) -> Result<Option<i64>> {
        let mark = unique_id()?;
        let fields = Sent::Mark { w: Typed::Text(&mark) };
        let change = Change {
            update: Some(Document { name: self.name(key).await?, fields }),
            // All other fields stay.
            update_mask: Some(json!({"fieldPaths": ["w"]})),
            update_transforms: Some(json!([{"fieldPath": "n", "increment": {"integerValue": delta.to_string()}}])),
            current_document: Some(Precondition::Exists(true)),
            ..Change::default()
        };
        let error = match self.commit("Add", Safety::Once, &[change]).await {
            Ok(Ok(written)) => {
                let Some(sum) = written.first().map(Written::sum).transpose()? else { return Ok(None) };
                return self.confirm(key, sum, current + delta).await.map(Some);
            }
            Ok(Err(service_error)) if is_condition(&service_error) && !service_error.uncertain => return Ok(None),
            Ok(Err(service_error)) => self.explain(service_error),
            Err(error) => error,
        };
        if error.outcome_unknown()
            && let Ok(Some(found)) = self.read(key).await
            && found.is_marked(&mark)
            && let Some(sum) = found.counter()
        {
            return Ok(Some(sum));
        }
        Err(error)
    }

    /// Where another write came in between, it may have made something else of the counter: then what was
    /// added lies beside that, and no read shows it.
    async fn confirm(&self, key: &Key, sum: i64, expected: i64) -> Result<i64> {
        if sum == expected {
            return Ok(sum);
        }
        match self.read(key).await.map_err(Error::with_outcome_unknown)? {
            Some(found) if found.hides_a_number() => add_to_counter(Some(b"none"), 0, PROFILE.limits.counter_max_abs),
            _ => Ok(sum),
        }
    }
}
