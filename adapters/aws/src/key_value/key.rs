//! The escape of sort keys in DynamoDB.
//!
//! A sort key of isobar can be empty, but a key attribute of DynamoDB cannot. All other text is allowed,
//! and DynamoDB sorts by UTF-8 bytes as isobar does. The escape is one `!` before a sort key that is empty or begins
//! with a character up to `!`. The marked sort keys sort before all others, as they do without the mark, so the
//! escape keeps sort keys different and in order. All other sort keys, and partitions, which are never empty, are
//! stored unchanged.
//!
//! Source: "Constraints in Amazon DynamoDB".

use std::borrow::Cow;

/// The mark before escaped sort keys.
const MARK: char = '!';

/// The value of `sk` for a sort key.
pub(super) fn stored_sort(sort: &str) -> Cow<'_, str> {
    if needs_mark(sort) { format!("{MARK}{sort}").into() } else { sort.into() }
}

/// The sort key for a value of `sk`; `None` for a value that [`stored_sort`] does not produce.
pub(super) fn sort(stored: String) -> Option<String> {
    let (sort, marked) = match stored.strip_prefix(MARK) {
        Some(sort) => (sort.to_owned(), true),
        None => (stored, false),
    };
    (marked == needs_mark(&sort)).then_some(sort)
}

fn needs_mark(sort: &str) -> bool {
    sort.chars().next().is_none_or(|first| first <= MARK)
}
