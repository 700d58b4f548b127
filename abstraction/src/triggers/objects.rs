//! [`ObjectEvents`]: the object events of a bucket as the source of a trigger.

use std::time::Duration;

use crate::access::Grant;
use crate::blob::{Bucket, key};
use crate::manifest::{ChangeKind, ObjectFilter, ObjectTrigger};
use crate::outcome::RetryPolicy;

/// Object events of a bucket as the source of a trigger: their name, filter and retry policy. A `&bucket` is converted to
/// all events of the bucket, with the name `default` and the defaults: 5 attempts, a backoff of 1 second that doubles up to
/// 5 minutes.
///
/// A bucket can have several of them, each with a name and a handler. Every change is delivered to each whose filter
/// accepts it; each has attempts and dead letters of its own. The filter is of the key as the app writes it, in bytes of
/// UTF-8, and its upper and lower case count.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{App, Cloud, EventQueue, Outcome, TestClient};
///
/// fn app(cloud: &Cloud) -> App {
///     let files = cloud.bucket("files");
///     let photos = files.events("thumbs").with_prefix("photos/").with_suffix(".jpg").created();
///     App::new("gallery")
///         .on_object(photos, async |_event, _cx| Outcome::Ack)
///         .on_object(files.events("audit").deleted(), async |_event, _cx| Outcome::reject("not audited"))
/// }
///
/// let client = TestClient::new(app)?;
/// let files = client.cloud().bucket("files");
/// files.put("photos/sea.jpg", "…").await?;
/// files.put("notes.txt", "…").await?;
/// assert_eq!(client.deliver_all().await?.acked, 1);
/// files.delete("notes.txt").await?;
/// assert_eq!(client.deliver_all().await?.dead, 1);
/// assert_eq!(client.dead_letters(EventQueue::bucket("files").named("audit")).len(), 1);
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ObjectEvents {
    pub(crate) trigger: ObjectTrigger,
    pub(crate) grant: Grant,
    /// A kind of change that the filter excludes, although a method was called for it.
    excluded: Option<ChangeKind>,
    longest_key: u64,
}

impl Bucket {
    /// Object events of the bucket as the source of a trigger, with a name and a filter: see [`ObjectEvents`].
    ///
    /// The name is a logical name: 3 to 40 of `a-z`, `0-9` and single `-`; `dead`, `events`, `fifo` and `writes` are
    /// reserved. It is a part of the names of queues on the clouds, so another name is another queue. `default` is the name
    /// of events without a name.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{App, Cloud, Outcome, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let csv = cloud.bucket("reports").events("import").with_suffix(".csv").created();
    ///     App::new("importer").on_object(csv, async |_event, _cx| Outcome::Ack)
    /// }
    /// let client = TestClient::new(app)?;
    /// client.cloud().bucket("reports").put("2026.csv", "a;b").await?;
    /// client.cloud().bucket("reports").put("2026.pdf", "…").await?;
    /// assert_eq!(client.deliver_all().await?.acked, 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn events(&self, name: impl Into<String>) -> ObjectEvents {
        ObjectEvents {
            trigger: ObjectTrigger::new(self.name(), RetryPolicy::default()).with_name(name),
            grant: self.resource().1.clone(),
            excluded: None,
            longest_key: self.resource().limits.object_key_bytes,
        }
    }
}

impl ObjectEvents {
    /// Accepts only keys that begin with this text.
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.trigger.filter.prefix = prefix.into();
        self
    }

    /// Accepts only keys that end with this text.
    pub fn with_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.trigger.filter.suffix = suffix.into();
        self
    }

    /// Accepts only the creation of an object, and its replacement.
    pub fn created(self) -> Self {
        self.only(ChangeKind::Created)
    }

    /// Accepts only the deletion of an object.
    pub fn deleted(self) -> Self {
        self.only(ChangeKind::Deleted)
    }

    fn only(mut self, change: ChangeKind) -> Self {
        let before = self.trigger.filter.change.replace(change);
        self.excluded = self.excluded.or(before.filter(|before| *before != change));
        self
    }

    /// Sets the number of deliveries, including the first, before an event becomes a dead letter; 0 counts as 1.
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.trigger.retry = self.trigger.retry.with_max_attempts(attempts);
        self
    }

    /// Sets the shortest and the longest backoff between deliveries.
    pub fn with_backoff(mut self, min: Duration, max: Duration) -> Self {
        self.trigger.retry = self.trigger.retry.with_backoff(min, max);
        self
    }

    /// The problem of a filter that no event can pass.
    pub(crate) fn problem(&self) -> Option<String> {
        let queue = self.trigger.queue();
        if self.excluded.is_some() {
            return Some(format!(
                "{queue}: the filter accepts nothing, since `created()` and `deleted()` exclude each other; call neither for \
                 both kinds of changes"
            ));
        }
        let ObjectFilter { prefix, suffix, .. } = &self.trigger.filter;
        let (size, limit) = (stored_size(&shortest(prefix, suffix), suffix), self.longest_key);
        (size > limit).then(|| {
            format!(
                "{queue}: the filter accepts nothing, since a key with its prefix and its suffix has at least {size} bytes, \
                 and the limit is {limit}; use shorter ones"
            )
        })
    }
}

/// The size of the shortest stored name of a key that begins with `shortest` and ends with `suffix`.
fn stored_size(shortest: &str, suffix: &str) -> u64 {
    // A dot is escaped only where the key ends with it.
    let longer = (suffix.is_empty() && shortest.ends_with('.')).then(|| format!("{shortest}x"));
    key::encode(longer.as_deref().unwrap_or(shortest)).len() as u64
}

/// The shortest text with this prefix and this suffix, which may overlap.
fn shortest(prefix: &str, suffix: &str) -> String {
    let overlaps = |end: &usize| suffix.is_char_boundary(*end) && prefix.ends_with(&suffix[..*end]);
    let common = (0..=suffix.len()).rev().find(overlaps).unwrap_or(0);
    format!("{prefix}{}", &suffix[common..])
}

impl From<&Bucket> for ObjectEvents {
    fn from(bucket: &Bucket) -> Self {
        bucket.events(crate::pub_sub::DEFAULT_SUBSCRIPTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_key_of_a_filter_shares_its_prefix_and_its_suffix() {
        for (prefix, suffix, expected) in
            [("", "", ""), ("a", "", "a"), ("", "b", "b"), ("abc", "bcd", "abcd"), ("aa", "a", "aa"), ("ä", "ä!", "ä!")]
        {
            assert_eq!(shortest(prefix, suffix), expected);
        }
    }
}
