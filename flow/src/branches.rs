//! Branches of a workflow that run in parallel.

use futures_util::StreamExt;
use futures_util::future::select_all;
use futures_util::stream;
use isobar_abstraction::Result;

use crate::flow::Flow;

impl Flow {
    /// Runs a branch for each item, at most `parallel` of them at the same time, and returns their results in the order of
    /// the items.
    ///
    /// Each branch has a [`Flow`] of its own, whose calls have the name and the number of the item before their names. All
    /// branches run to their end; then the first error in the order of the items is returned.
    ///
    /// For more than some hundreds of items, or branches of many calls, start a child for each part with
    /// [`call`](Self::call): a journal has 10,000 entries at most.
    pub async fn map<I, T, F, R>(
        &self,
        name: &str,
        items: impl IntoIterator<Item = I>,
        parallel: usize,
        branch: F,
    ) -> Result<Vec<T>>
    where
        F: Fn(Self, I) -> R,
        R: Future<Output = Result<T>>,
    {
        let scope = self.scoped(name);
        let branches = items.into_iter().enumerate().map(|(number, item)| branch(scope.of_item(number), item));
        let results: Vec<_> = stream::iter(branches).buffered(parallel.max(1)).collect().await;
        results.into_iter().collect()
    }

    /// Runs branches in parallel until the first one ends, drops the others, and returns the number and the result of the
    /// first.
    ///
    /// Which one is first is recorded with the results of the calls. A branch that is dropped begins no other call; a step of
    /// it that is running is dropped too, and its effect may have happened.
    ///
    /// Without a branch the run is stalled.
    pub async fn race<T, R>(&self, branches: impl IntoIterator<Item = R>) -> (usize, T)
    where
        R: Future<Output = T> + Unpin,
    {
        let branches: Vec<_> = branches.into_iter().collect();
        if branches.is_empty() {
            self.inner.calls.with(|state| state.stop_for("a race needs a branch"));
            return std::future::pending().await;
        }
        let (result, number, _) = select_all(branches).await;
        (number, result)
    }
}
