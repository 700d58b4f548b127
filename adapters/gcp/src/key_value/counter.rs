//! Counters: Firestore's increment, and the cases that it does not support.

use isobar_abstraction::driver::key_value::{Key, add_to_counter};
use isobar_abstraction::{Error, Result};
use isobar_rest::Safety;
use serde_json::json;

use super::commit::{Change, Document, Precondition, SentFields, WriteResult};
use super::service_error::is_condition;
use super::stored::{StoredDocument, TypedValue};
use super::{FirestoreKeyValue, MAX_ATTEMPTS};
use crate::profile::PROFILE;
use isobar_rest::attempt::{counter_contention, pause, unique_id, write_back};

/// The largest counter and the largest addition for which Firestore's increment is used. Its only limit is 64 bits, so
/// counters closer to isobar's limit are read and written back. The distance leaves room for a million concurrent
/// additions.
const MAX_NATIVE_COUNTER: u64 = 1 << 52;
const MAX_NATIVE_DELTA: u64 = 1 << 32;

impl FirestoreKeyValue {
    /// Reads the item, then increments. The read prevents Firestore from turning another value into a counter; a
    /// counter has a separate field, so that a concurrent put is not lost.
    ///
    /// Errors: `Conflict` if each attempt lost a race, `Throttled` if other writes locked the document.
    pub(super) async fn add_item(&self, key: &Key, delta: i64) -> Result<i64> {
        for attempt in 0..MAX_ATTEMPTS {
            let found = self.read(key).await?;
            let current =
                found.as_ref().filter(|found| !found.has_expired(self.clock.now())).and_then(StoredDocument::counter);
            let sum = match current.filter(|current| {
                current.unsigned_abs() < MAX_NATIVE_COUNTER && delta.unsigned_abs() < MAX_NATIVE_DELTA
            }) {
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
        Err(counter_contention(key, MAX_ATTEMPTS, "write it with `add` only"))
    }

    /// Increments a counter. `None` if the item no longer exists. Not repeated if it may have been applied, which would
    /// count twice; then the mark may show that it was applied.
    async fn add_natively(&self, key: &Key, current: i64, delta: i64) -> Result<Option<i64>> {
        let mark = unique_id()?;
        let fields = SentFields::Mark { w: TypedValue::Text(&mark) };
        let change = Change {
            update: Some(Document { name: self.name(key).await?, fields }),
            // All other fields stay unchanged.
            update_mask: Some(json!({"fieldPaths": ["w"]})),
            update_transforms: Some(json!([{"fieldPath": "n", "increment": {"integerValue": delta.to_string()}}])),
            current_document: Some(Precondition::Exists(true)),
            ..Change::default()
        };
        let error = match self.commit("Add", Safety::Once, &[change]).await {
            Ok(Ok(written)) => {
                let Some(sum) = written.first().map(WriteResult::sum).transpose()? else { return Ok(None) };
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

    /// Checks an unexpected sum: a concurrent write may have replaced the counter by another value. Then the increment
    /// changed a field that reads ignore.
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
