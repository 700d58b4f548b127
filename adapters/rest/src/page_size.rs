//! Pages of scans of services that limit the items of a page, but not its bytes.

use std::sync::atomic::{AtomicUsize, Ordering};

use isobar_abstraction::driver::key_value::Item;

/// The bytes of a page, by the mean size of the items before: large enough for the throughput, and small enough for several
/// segments in memory.
const BYTES: usize = 4 << 20;

/// The items of a page while their size is unknown.
const FIRST: usize = 50;

/// The mean size of the items of the last page of a table. A page whose items are much larger is limited by
/// [`ClientConfig::max_response_bytes`](crate::ClientConfig::max_response_bytes).
#[derive(Debug, Default)]
pub struct PageSize(AtomicUsize);

impl PageSize {
    /// The number of items to request, at most `limit`.
    pub fn items(&self, limit: usize) -> usize {
        let items = match self.0.load(Ordering::Relaxed) {
            0 => FIRST,
            mean => (BYTES / mean).max(1),
        };
        items.min(limit)
    }

    /// Stores the mean size of these items.
    pub fn learn(&self, items: &[Item]) {
        let bytes: usize = items.iter().map(Item::size).sum();
        if let Some(mean) = bytes.checked_div(items.len()) {
            self.0.store(mean.max(1), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::driver::key_value::Version;

    use super::*;

    #[test]
    fn pages_have_some_megabytes_by_the_items_before() {
        let size = PageSize::default();
        let item = |bytes: usize| Item::new("a".into(), vec![7; bytes], Version::new("1"));
        assert_eq!((size.items(1_000), size.items(7)), (FIRST, 7));
        size.learn(&[]);
        assert_eq!(size.items(1_000), FIRST);
        size.learn(&[item(0), item(2 << 20)]);
        assert_eq!(size.items(1_000), 3);
        size.learn(&[item(100)]);
        assert_eq!(size.items(1_000), 1_000);
        size.learn(&[item(9 << 20)]);
        assert_eq!(size.items(1_000), 1);
    }
}
