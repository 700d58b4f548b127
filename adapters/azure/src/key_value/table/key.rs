//! The encoding of keys in Table Storage.
//!
//! The service allows neither `/ \ # ?` nor control characters in a key, at most 512 UTF-16 units, and orders keys by
//! these units; isobar's keys are any UTF-8, ordered by its bytes
//! (<https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model>).
//!
//! - `RowKey` is the sort key, with each byte `b` as the character U+0100 + `b`: no such character is
//!   forbidden, 512 bytes are 512 units, and their order is that of the bytes.
//! - `PartitionKey` is the first four hex digits of the partition's SHA-256, then `-` and the unchanged partition; or `=`
//!   and its bytes as in a `RowKey`, where the partition has a character that is not plain. The digits distribute
//!   partitions evenly, so that a range of digits is a segment of a scan, and partitions whose names grow with time are
//!   not all on one server.

use std::fmt;

use isobar_abstraction::driver::key_value::Key;
use ring::digest::{SHA256, digest};

/// The character that represents the byte 0.
const ZERO: u32 = 0x100;

/// The number of hex digits before a partition.
const DIGITS: usize = 4;

/// The number of different values of these digits: 16⁴.
const SPREAD: u64 = 1 << (4 * DIGITS);

/// The key of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RowKey {
    pub(super) partition: String,
    pub(super) row: String,
}

impl From<&Key> for RowKey {
    fn from(key: &Key) -> Self {
        Self { partition: partition_key(&key.partition), row: row_key(key.sort.as_bytes()) }
    }
}

impl RowKey {
    /// The key of a row; `None` where isobar never writes such a row.
    pub(super) fn key(&self) -> Option<Key> {
        let bytes = unescaped(&self.row)?;
        let key = Key { partition: partition(&self.partition)?, sort: String::from_utf8(bytes).ok()? };
        (Self::from(&key) == *self).then_some(key)
    }
}

/// For errors about rows without a key of isobar.
impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionKey `{}`, RowKey `{}`", self.partition.escape_debug(), self.row.escape_debug())
    }
}

/// The `RowKey` of a sort key, or of bytes between two sort keys.
pub(super) fn row_key(sort: &[u8]) -> String {
    sort.iter().filter_map(|byte| char::from_u32(ZERO + u32::from(*byte))).collect()
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let byte = |character: char| u8::try_from(u32::from(character).checked_sub(ZERO)?).ok();
    text.chars().map(byte).collect()
}

/// The `PartitionKey` of a partition.
pub(super) fn partition_key(partition: &str) -> String {
    let digits = digits_of(partition);
    match partition.bytes().all(is_plain) {
        true => format!("{digits}-{partition}"),
        false => format!("{digits}={}", row_key(partition.as_bytes())),
    }
}

fn partition(stored: &str) -> Option<String> {
    let (_, rest) = stored.split_at_checked(DIGITS)?;
    match rest.strip_prefix('-') {
        Some(plain) => Some(plain.to_owned()),
        None => String::from_utf8(unescaped(rest.strip_prefix('=')?)?).ok(),
    }
}

/// Printable ASCII without a special meaning for the service or for tools.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"/\\#?%'\"+&".contains(&byte)
}

fn digits_of(partition: &str) -> String {
    let hash = digest(&SHA256, partition.as_bytes());
    hash.as_ref().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// The `PartitionKey`s of one of several segments: from the first, and below the second, which is `None` for the last
/// segment. `None` for a segment that is always empty.
///
/// Neighbours share a bound, the first begins at the lowest key and the last has no end: each key is in exactly one
/// segment.
pub(super) fn segment(number: u32, of: u32) -> Option<(String, Option<String>)> {
    let start = |number: u32| u64::from(number) * SPREAD / u64::from(of.max(1));
    let (start, end) = (start(number), start(number.saturating_add(1)));
    let digits = |at: u64| if at == 0 { String::new() } else { format!("{at:04x}") };
    (start < end).then(|| (digits(start), (end < SPREAD).then(|| digits(end))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(partition: &str, sort: &str) -> RowKey {
        RowKey::from(&Key::new(partition, sort))
    }

    #[test]
    fn every_key_is_decoded_again_and_has_its_own_row() {
        let texts = [
            "a",
            "A",
            "a/b",
            "a\\b",
            "#",
            "?",
            "%",
            "%25",
            "'",
            "''",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            " ",
            "a ",
            "é",
            "\u{100}",
            "😀",
            "\u{ffee}",
            "-",
            "=",
            "=a",
            "-a",
            "ca97-a",
            "e2 82 ac",
            "\u{10ffff}",
        ];
        let mut rows = std::collections::HashMap::new();
        for partition in texts {
            for sort in texts.into_iter().chain([""]) {
                let row = stored(partition, sort);
                assert_eq!(row.key(), Some(Key::new(partition, sort)));
                assert!(rows.insert(row.clone(), (partition, sort)).is_none(), "{row}");
                for text in [&row.partition, &row.row] {
                    assert!(!text.chars().any(|it| it.is_control() || "/\\#?'".contains(it)), "{row}");
                }
            }
        }
    }

    #[test]
    fn the_largest_keys_fit_and_order_is_that_of_bytes() {
        let row = stored(&"😀".repeat(64), &"é".repeat(256));
        assert_eq!((row.partition.encode_utf16().count(), row.row.encode_utf16().count()), (261, 512));
        let mut sorts = ["", "\u{0}", "a", "a\u{0}", "ab", "b", "é", "\u{ffee}", "😀", "/", "?", "A", "~"];
        sorts.sort_unstable();
        let units = |sort: &str| row_key(sort.as_bytes()).encode_utf16().collect::<Vec<_>>();
        assert!(sorts.windows(2).all(|pair| units(pair[0]) < units(pair[1])));
    }

    #[test]
    fn a_plain_partition_stays_readable_and_its_digits_are_those_of_sha_256() {
        // echo -n ada | sha256sum
        assert_eq!(stored("ada", "").partition, "fdee-ada");
        assert_eq!(stored("a/b", "1"), RowKey { partition: "c14c=šįŢ".to_owned(), row: "ı".to_owned() });
    }

    #[test]
    fn rows_of_other_writers_have_no_key() {
        for (partition, row) in
            [("ada", ""), ("fdef-ada", ""), ("fdee-ada", "a"), ("fdee=šŤš", ""), ("", ""), ("é", "")]
        {
            assert_eq!(RowKey { partition: partition.to_owned(), row: row.to_owned() }.key(), None, "{partition}");
        }
        assert_eq!(RowKey { partition: "fdee-ada".to_owned(), row: "\u{1ff}".to_owned() }.key(), None, "no UTF-8");
    }

    #[test]
    fn the_last_of_the_maximum_number_of_segments_has_no_end() {
        assert_eq!(segment(u32::MAX - 1, u32::MAX), Some(("ffff".to_owned(), None)));
        assert_eq!(segment(0, u32::MAX), None);
    }

    #[test]
    fn segments_are_disjoint_and_complete() {
        let keys: Vec<_> = (0..2_000).map(|number| partition_key(&format!("user-{number}"))).collect();
        let foreign = ["", "ada", "zz", "ffff", "\u{ffff}", "0", "0000"].map(str::to_owned);
        for of in [1, 2, 3, 7, 16, 1_000, 65_536, 70_000] {
            let ranges: Vec<_> = (0..of).filter_map(|number| segment(number, of)).collect();
            assert_eq!((ranges[0].0.as_str(), &ranges[ranges.len() - 1].1), ("", &None), "{of}");
            assert!(ranges.windows(2).all(|pair| pair[0].1.as_ref() == Some(&pair[1].0)), "{of}");
            if of <= 16 {
                let within = |key: &String, (start, end): &(String, Option<String>)| {
                    key >= start && end.as_ref().is_none_or(|end| key < end)
                };
                for key in keys.iter().chain(&foreign) {
                    assert_eq!(ranges.iter().filter(|range| within(key, range)).count(), 1, "{key} of {of}");
                }
                for range in &ranges {
                    let share = keys.iter().filter(|key| within(key, range)).count();
                    assert!(share > 2_000 / of as usize / 2, "{share} of {of}");
                }
            }
        }
    }
}
