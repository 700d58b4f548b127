//! How much goes into one request.

/// Parts of `entries`, in their order, for one request each: of `most` entries and `bytes` bytes, as `size` counts them,
/// and of one entry at least, since the service has the last word.
pub fn batches<T>(mut entries: &[T], most: usize, bytes: usize, size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut batches = Vec::new();
    while !entries.is_empty() {
        let mut total = 0;
        let fits = |entry: &&T| {
            total += size(entry);
            total <= bytes
        };
        let count = entries.iter().take(most).take_while(fits).count().max(1);
        let (batch, rest) = entries.split_at(count);
        batches.push(batch);
        entries = rest;
    }
    batches
}
