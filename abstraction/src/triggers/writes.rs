//! [`TableWrites`]: the writes of a table as the source of a trigger.

use std::time::Duration;

use crate::access::Grant;
use crate::key_value::Table;
use crate::manifest::WriteTrigger;
use crate::outcome::RetryPolicy;

/// The writes of a table as the source of a trigger, with its retry policy. A `&table` is converted to one with the defaults:
/// 5 attempts, a backoff of 1 second that doubles up to 5 minutes.
///
/// See [`App::on_write`](crate::App::on_write) for what a handler receives.
#[derive(Debug, Clone)]
#[must_use]
pub struct TableWrites {
    pub(crate) trigger: WriteTrigger,
    pub(crate) grant: Grant,
}

impl<T> Table<T> {
    /// The writes of the table as the source of a trigger, with the number of attempts and the backoff: see [`TableWrites`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{App, Cloud, EventQueue, Outcome, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let once = cloud.table::<String>("notes").writes().with_max_attempts(1);
    ///     App::new("index").on_write(once, async |_write, _cx| Outcome::retry("the index is down"))
    /// }
    /// let client = TestClient::new(app)?;
    /// client.cloud().table("notes").put("tea", &"green".to_owned()).await?;
    /// assert_eq!(client.deliver_all().await?.dead, 1);
    /// assert_eq!(client.redrive(EventQueue::table("notes")), 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn writes(&self) -> TableWrites {
        TableWrites {
            trigger: WriteTrigger::new(self.name(), RetryPolicy::default()),
            grant: self.resource().1.clone(),
        }
    }
}

impl TableWrites {
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
}

impl<T> From<&Table<T>> for TableWrites {
    fn from(table: &Table<T>) -> Self {
        table.writes()
    }
}
