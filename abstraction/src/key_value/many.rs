//! Writes of many items in one call.

use std::collections::HashSet;

use serde::Serialize;

use super::{Key, Put, PutMode, Table, Version};
use crate::access::Access;
use crate::{Error, Result};

impl<T: Serialize + 'static> Table<T> {
    /// Writes many items and returns one result for each, in their order. Any number of items, of any partitions: the adapter
    /// makes as many requests as its service needs. Each one replaces a stored item and has no expiry.
    ///
    /// The items are independent: an invalid or failed one does not affect the others, and there is no order between them. For
    /// items that must be written together, use a [transaction](Self::transact). Errors of each: those of
    /// [`put`](Self::put); `InvalidInput` for a key that an earlier item of the call has.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::{Cloud, ErrorKind};
    /// let ages = Cloud::memory().table::<u32>("ages");
    /// let results = ages.put_many([("ada", &36), ("", &1), ("grace", &85)]).await;
    /// assert!(results[0].is_ok() && results[2].is_ok());
    /// assert_eq!(results[1].as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
    /// assert_eq!(ages.get_many(["ada", "grace"]).await?, [Some(36), Some(85)]);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn put_many<'a, K: Into<Key>>(
        &self,
        items: impl IntoIterator<Item = (K, &'a T)>,
    ) -> Vec<Result<Version>> {
        let mut keys = HashSet::new();
        let prepared: Vec<_> =
            items.into_iter().map(|(key, value)| self.prepare(key.into(), value, &mut keys)).collect();
        let good: Vec<_> = prepared.iter().filter_map(|put| put.as_ref().ok().cloned()).collect();
        let written = match good.is_empty() {
            true => Ok(Vec::new()),
            false => {
                let put =
                    self.resource().run("put_many", Access::Write, async |driver| Ok(driver.put_many(good).await));
                put.await
            }
        };
        let mut written = written.map(Vec::into_iter);
        let result = |prepared: Result<Put>| match (prepared, &mut written) {
            (Err(error), _) => Err(error),
            (Ok(_), Ok(results)) => results.next().unwrap_or_else(|| Err(no_result())).map_err(Error::of_driver),
            (Ok(_), Err(error)) => Err(error.clone()),
        };
        let results = prepared.into_iter().map(result);
        results.map(|result| result.map_err(|error| self.resource().explain("put_many", error))).collect()
    }

    fn prepare(&self, key: Key, value: &T, keys: &mut HashSet<Key>) -> Result<Put> {
        let key = self.checked("put_many", key)?;
        let put = self.resource().prepare("put_many", key, value, PutMode::Overwrite.into())?;
        match keys.insert(put.key.clone()) {
            true => Ok(put),
            false => Err(Error::invalid_input(format!("an earlier item of the call has the key `{}`", put.key))),
        }
    }
}

fn no_result() -> Error {
    Error::internal("bug in isobar: the driver returned no result for a put; please report it").with_outcome_unknown()
}
