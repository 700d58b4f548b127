//! How a sort key is escaped in DynamoDB.
//!
//! A key attribute cannot be an empty string, and a sort key of isobar can. Nothing else is forbidden in text,
//! and DynamoDB orders it by its UTF-8 bytes as isobar does. So the escape is one character: a `!` more stands before a
//! sort key that is empty, and before one that begins with a character up to `!`. All that are marked come before
//! all that are not, as they do without it: sort keys stay different and in order, and all others are
//! stored as they are. A partition is never empty, and is stored as it is.
//!
//! Source: "Constraints in Amazon DynamoDB".

use std::borrow::Cow;

/// The `!` before some sort keys.
const MARK: char = '!';

/// A sort key as `sk` has it.
pub(super) fn stored_sort(sort: &str) -> Cow<'_, str> {
    if needs_mark(sort) { format!("{MARK}{sort}").into() } else { sort.into() }
}

/// The sort key that was stored, unless this is none that [`stored_sort`] makes.
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
