//! Batches: how many entries one request contains.

/// Splits `entries`, in their order, into one slice for each request: at most `max_entries` entries and `max_bytes` bytes,
/// as `size` counts them. An entry that is too large is a batch alone: the service rejects it.
pub fn batches<T>(mut entries: &[T], max_entries: usize, max_bytes: usize, size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut batches = Vec::new();
    while !entries.is_empty() {
        let mut total = 0;
        let fits = |entry: &&T| {
            total += size(entry);
            total <= max_bytes
        };
        let count = entries.iter().take(max_entries).take_while(fits).count().max(1);
        let (batch, rest) = entries.split_at(count);
        batches.push(batch);
        entries = rest;
    }
    batches
}
