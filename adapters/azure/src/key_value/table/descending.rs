//! Queries in descending order, which the service does not support: it returns rows in ascending order only.
//!
//! The cost of a query: one request for a limit of 1,000 items where the range has no more rows than that; two, the
//! first for keys only, for a lower limit where the range has no more than 100 rows, or no more than the limit. In a
//! larger range a binary search finds the upper end, by requests for the first 100 to 1,000 keys after the middle of the
//! remaining interval. Their number depends on the form of the keys, about three to eight for each character in which the
//! last keys differ from those before, not on the number of keys. With keys `event-0000001` …, 23 requests find the
//! last of 30,000 and 30 those of 200,000, where reading the range would need 200. Expired items are skipped.

use std::ops::Bound;

use isobar_abstraction::Result;
use isobar_abstraction::driver::key_value::{Items, QueryRange};

use super::TableKeyValue;
use super::range::{MOST_ROWS, Rows, bytes, filter};

/// The fewest keys in one request of the search.
const LEAST_KEYS: usize = 100;

/// The longest sort key.
const SORT_BYTES: usize = 512;

/// A number above all bytes of UTF-8.
const PAST_BYTES: u16 = 0xF5;

const KEYS: &str = "PartitionKey,RowKey,expires";

type End = Bound<Vec<u8>>;

/// A key that the search has read.
struct FoundKey {
    sort: String,
    live: bool,
}

/// The rows from one bound up to the start of the next higher part.
struct Part {
    from: End,
    /// Whether there are probably more rows than one request returns.
    dense: bool,
    /// The length of the prefix of `from` that a later key is known not to share.
    beyond: usize,
}

/// The upper end of a range, as far as the search has read it.
#[derive(Default)]
struct Tail {
    /// The keys in descending order.
    keys: Vec<FoundKey>,
    live: usize,
    more: bool,
}

impl TableKeyValue {
    pub(super) async fn descending(&self, range: &QueryRange) -> Result<Items> {
        if range.limit >= MOST_ROWS {
            let all = filter(range, &bytes(&range.lower), &bytes(&range.upper));
            let Rows { rows, next } = self.rows(&all, MOST_ROWS, "", None).await?;
            if next.is_none() {
                return self.reversed(rows, usize::MAX);
            }
        }
        let tail = self.tail(range).await?;
        let (Some(highest), Some(lowest)) = (tail.keys.first(), tail.keys.last()) else { return Ok(Items::default()) };
        let end = |key: &FoundKey| Bound::Included(key.sort.clone().into_bytes());
        let filter = filter(range, &end(lowest), &end(highest));
        let mut rows = Vec::new();
        let mut token = None;
        loop {
            let page = self.rows(&filter, MOST_ROWS, "", token.as_ref()).await?;
            rows.extend(page.rows);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        let mut items = self.reversed(rows, range.limit)?;
        if items.resume.is_none() && tail.more {
            items.resume = Some(lowest.sort.clone());
        }
        Ok(items)
    }

    /// The items of these rows in reverse order, up to a limit.
    fn reversed(&self, rows: Vec<super::stored::Found>, limit: usize) -> Result<Items> {
        let (now, mut items) = (self.now(), Items::default());
        for found in rows.into_iter().rev().filter(|found| found.tag.is_live(now)) {
            if items.items.len() == limit {
                items.resume = items.items.last().map(|item| item.key.sort.clone());
                break;
            }
            let key = found.key()?;
            items.items.push(found.into_item(key)?);
        }
        Ok(items)
    }

    /// The last keys of a range: as many live ones as its limit, or all.
    async fn tail(&self, range: &QueryRange) -> Result<Tail> {
        let top = range.limit.clamp(LEAST_KEYS, MOST_ROWS);
        let mut upper = bytes(&range.upper);
        let mut parts = vec![Part { from: bytes(&range.lower), dense: false, beyond: usize::MAX }];
        let mut tail = Tail::default();
        while let Some(part) = parts.last_mut().filter(|_| tail.live < range.limit) {
            if part.dense {
                match split(end(&part.from).unwrap_or_default(), end(&upper), part.beyond) {
                    Some((at, beyond)) => parts.push(Part { from: Bound::Included(at), dense: false, beyond }),
                    None => part.dense = false,
                }
                continue;
            }
            let beyond = part.beyond;
            let (keys, more) = self.first_keys(range, &part.from, &upper, top).await?;
            match keys.last().filter(|_| more) {
                Some(last) => {
                    let from = Bound::Excluded(last.sort.clone().into_bytes());
                    parts.push(Part { from, dense: true, beyond });
                }
                None => {
                    upper = below(&part.from);
                    parts.pop();
                    if let Some(part) = parts.last_mut() {
                        part.dense &= keys.is_empty();
                    }
                    tail.take(keys, range.limit);
                }
            }
        }
        tail.more |= !parts.is_empty();
        Ok(tail)
    }

    /// The first keys between two bounds, and whether there are more.
    async fn first_keys(&self, range: &QueryRange, from: &End, to: &End, top: usize) -> Result<(Vec<FoundKey>, bool)> {
        let filter = filter(range, from, to);
        let (now, mut keys, mut token) = (self.now(), Vec::new(), None);
        loop {
            let page = self.rows(&filter, top - keys.len(), KEYS, token.as_ref()).await?;
            for found in page.rows {
                keys.push(FoundKey { sort: found.key()?.sort, live: found.tag.is_live(now) });
            }
            token = page.next;
            if token.is_none() || keys.len() >= top {
                return Ok((keys, token.is_some()));
            }
        }
    }
}

impl Tail {
    /// Appends the keys below, which are in ascending order.
    fn take(&mut self, below: Vec<FoundKey>, limit: usize) {
        for key in below.into_iter().rev() {
            if self.live == limit {
                self.more = true;
                return;
            }
            self.live += usize::from(key.live);
            self.keys.push(key);
        }
    }
}

/// The upper bound of the keys below a lower bound.
fn below(from: &End) -> End {
    match from {
        Bound::Included(sort) => Bound::Excluded(sort.clone()),
        Bound::Excluded(sort) => Bound::Included(sort.clone()),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// The next key to search from, between an existing key and an upper bound, and the `beyond` of the keys found there.
///
/// The search first finds the common prefix of all keys, by halving its length; then the byte in which they differ, first
/// after its character class and then by halving.
fn split(low: &[u8], high: Option<&[u8]>, beyond: usize) -> Option<(Vec<u8>, usize)> {
    let (at, top) = match differ(low, high)? {
        Differ::At(at, top) => (at, top),
        Differ::Between(key) => return Some((key, usize::MAX)),
    };
    let unbounded = top > PAST_BYTES;
    let longest = if beyond <= at { low.len() } else { beyond.min(low.len()) };
    if unbounded && longest > at + 1 {
        let size = usize::midpoint(at, longest);
        return Some((with_last(&low[..size], low[size - 1].checked_add(1)?), size));
    }
    let bottom = digit(low, at);
    let after_class = low.get(at).and_then(|byte| end_of_class(*byte)).filter(|_| unbounded);
    let byte = after_class.or_else(|| u8::try_from(u16::midpoint(bottom, top) - 1).ok())?;
    let key = [&low[..at], &[byte]].concat();
    (key.len() <= SORT_BYTES).then_some((key, at + 1))
}

fn with_last(key: &[u8], last: u8) -> Vec<u8> {
    let mut key = key.to_vec();
    if let Some(byte) = key.last_mut() {
        *byte = last;
    }
    key
}

/// The byte after the digits, or after the ASCII characters of either case.
fn end_of_class(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(b'9' + 1),
        b'A'..=b'Z' => Some(b'Z' + 1),
        b'a'..=b'z' => Some(b'z' + 1),
        _ => None,
    }
}

/// The byte of a key as a number from 1; 0 for the end of the key, which sorts before all bytes.
fn digit(key: &[u8], at: usize) -> u16 {
    key.get(at).map_or(0, |byte| u16::from(*byte) + 1)
}

/// How two keys differ.
enum Differ {
    /// At this index, by more than one, up to this number.
    At(usize, u16),
    /// By one at an index, and after it: this key is between them.
    Between(Vec<u8>),
}

/// How two keys differ; `None` where no key is between them.
fn differ(low: &[u8], high: Option<&[u8]>) -> Option<Differ> {
    // Keys with the lower key as their prefix are between, unless it already ends with the highest bytes.
    let unbounded = |from: usize| {
        let at = (from..=low.len()).find(|at| digit(low, *at) < PAST_BYTES)?;
        Some(Differ::At(at, PAST_BYTES + 1))
    };
    let Some(high) = high else { return unbounded(0) };
    let at = low.iter().zip(high).take_while(|(low, high)| low == high).count();
    let (bottom, top) = (digit(low, at), digit(high, at));
    if top <= bottom {
        return None;
    }
    if top > bottom + 1 {
        return Some(Differ::At(at, top));
    }
    if high.len() > at + 1 {
        return Some(Differ::Between(high[..=at].to_vec()));
    }
    unbounded(at + 1)
}

fn end(end: &End) -> Option<&[u8]> {
    match end {
        Bound::Included(sort) | Bound::Excluded(sort) => Some(sort),
        Bound::Unbounded => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&[u8]; 12] =
        [b"", b"\0", b"\0\0", b"a", b"a\0", b"aa", b"ab", b"abc", b"b", b"\xf4\x8f\xbf\xbf", b"event-1", b"event-2"];

    #[test]
    fn the_next_key_is_between_the_bounds() {
        for low in KEYS {
            for high in KEYS.into_iter().filter(|high| low < *high) {
                for beyond in [0, 1, 2, 3, usize::MAX] {
                    match split(low, Some(high), beyond) {
                        Some((at, _)) => assert!(low < &at[..] && &at[..] < high, "{low:?} {at:?} {high:?}"),
                        None => assert_eq!(high, [low, b"\0"].concat(), "no key is between"),
                    }
                }
            }
            for beyond in [0, 1, 2, 3, usize::MAX] {
                assert!(split(low, None, beyond).is_some_and(|(at, _)| low < &at[..]), "{low:?} {beyond}");
            }
        }
        let longest = [b'a'; SORT_BYTES];
        let next = [&longest[1..], b"b"].concat();
        assert_eq!(split(&longest, Some(&next), usize::MAX), None, "a key between would be longer than a sort key");
    }

    #[test]
    fn the_search_ends() {
        for low in KEYS {
            let (mut high, mut steps) = (None, 0);
            while let Some((at, _)) = split(low, high.as_deref(), usize::MAX).filter(|_| steps < 10_000) {
                (high, steps) = (Some(at), steps + 1);
            }
            assert!(steps < 8 * (SORT_BYTES + 1), "{low:?}: {steps}");
        }
    }
}
