//! Queries in descending order, which the service does not have: it answers in ascending order only.
//!
//! What a query costs: one request where 1,000 items are asked for and the range has no more rows than
//! that; two, the first for keys alone, where fewer are asked for and the range has no more than 100 rows,
//! or than are asked for. In a larger range its upper end is looked for, by requests for the first 100 to
//! 1,000 keys behind a place that halves what is still possible: how many depends on how the keys are
//! made, some three to eight for each character in which the last ones differ from those before, and not
//! on how many there are. Of keys `event-0000001` …, 23 requests find the last of 30,000 and 30 those of
//! 200,000, where to read the range would take 200. Past items that have expired it goes on.

use std::ops::Bound;

use isobar_abstraction::Result;
use isobar_abstraction::driver::key_value::{Items, QueryRange};

use super::TableKeyValue;
use super::range::{MOST_ROWS, Rows, bytes, filter};

/// Keys of one look, at least.
const LEAST_KEYS: usize = 100;

/// The longest sort key.
const SORT_BYTES: usize = 512;

/// No byte of UTF-8 is as large.
const PAST_BYTES: u16 = 0xF5;

const KEYS: &str = "PartitionKey,RowKey,expires";

type End = Bound<Vec<u8>>;

/// A key that was looked at.
struct Seen {
    sort: String,
    live: bool,
}

/// The rows from one end up to where the part above begins.
struct Part {
    from: End,
    /// Are there probably more than one look shows?
    dense: bool,
    /// Something is known to lie behind all keys that begin as `from` does, for so many bytes.
    beyond: usize,
}

/// The upper end of a range, as far as it was looked at.
#[derive(Default)]
struct Tail {
    /// In descending order.
    seen: Vec<Seen>,
    live: usize,
    more: bool,
}

impl TableKeyValue {
    pub(super) async fn descending(&self, range: &QueryRange) -> Result<Items> {
        if range.limit >= MOST_ROWS {
            let all = filter(range, &bytes(&range.lower), &bytes(&range.upper));
            let Rows { rows, next } = self.rows(&all, MOST_ROWS, "", None).await?;
            if next.is_none() {
                return self.turned(rows, usize::MAX);
            }
        }
        let tail = self.tail(range).await?;
        let (Some(highest), Some(lowest)) = (tail.seen.first(), tail.seen.last()) else { return Ok(Items::default()) };
        let end = |seen: &Seen| Bound::Included(seen.sort.clone().into_bytes());
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
        let mut items = self.turned(rows, range.limit)?;
        if items.resume.is_none() && tail.more {
            items.resume = Some(lowest.sort.clone());
        }
        Ok(items)
    }

    /// The last of these rows, from the last on.
    fn turned(&self, rows: Vec<super::stored::Found>, limit: usize) -> Result<Items> {
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

    /// The last keys of a range: as many that live as its limit, or all.
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
            let (seen, more) = self.look(range, &part.from, &upper, top).await?;
            match seen.last().filter(|_| more) {
                Some(last) => {
                    let from = Bound::Excluded(last.sort.clone().into_bytes());
                    parts.push(Part { from, dense: true, beyond });
                }
                None => {
                    upper = below(&part.from);
                    parts.pop();
                    if let Some(part) = parts.last_mut() {
                        part.dense &= seen.is_empty();
                    }
                    tail.take(seen, range.limit);
                }
            }
        }
        tail.more |= !parts.is_empty();
        Ok(tail)
    }

    /// The first keys between two ends, and whether there are more.
    async fn look(&self, range: &QueryRange, from: &End, to: &End, top: usize) -> Result<(Vec<Seen>, bool)> {
        let filter = filter(range, from, to);
        let (now, mut seen, mut token) = (self.now(), Vec::new(), None);
        loop {
            let page = self.rows(&filter, top - seen.len(), KEYS, token.as_ref()).await?;
            for found in page.rows {
                seen.push(Seen { sort: found.key()?.sort, live: found.tag.is_live(now) });
            }
            token = page.next;
            if token.is_none() || seen.len() >= top {
                return Ok((seen, token.is_some()));
            }
        }
    }
}

impl Tail {
    /// Goes on with what lies below, given in ascending order.
    fn take(&mut self, below: Vec<Seen>, limit: usize) {
        for seen in below.into_iter().rev() {
            if self.live == limit {
                self.more = true;
                return;
            }
            self.live += usize::from(seen.live);
            self.seen.push(seen);
        }
    }
}

/// The upper end of what is below a lower end.
fn below(from: &End) -> End {
    match from {
        Bound::Included(sort) => Bound::Excluded(sort.clone()),
        Bound::Excluded(sort) => Bound::Included(sort.clone()),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// Where to look next between a key that is there and an end, and the `beyond` of what is found there.
///
/// First the bytes are looked for that all keys have in common, by halving their number; then the byte in
/// which they differ, first behind its kind and then by halving.
fn split(low: &[u8], high: Option<&[u8]>, beyond: usize) -> Option<(Vec<u8>, usize)> {
    let (at, top) = match differ(low, high)? {
        Differ::At(at, top) => (at, top),
        Differ::Between(key) => return Some((key, usize::MAX)),
    };
    let untold = top > PAST_BYTES;
    let most = if beyond <= at { low.len() } else { beyond.min(low.len()) };
    if untold && most > at + 1 {
        let size = usize::midpoint(at, most);
        return Some((with_last(&low[..size], low[size - 1].checked_add(1)?), size));
    }
    let bottom = digit(low, at);
    let kind = low.get(at).and_then(|byte| end_of_kind(*byte)).filter(|_| untold);
    let byte = kind.or_else(|| u8::try_from(u16::midpoint(bottom, top) - 1).ok())?;
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

/// What follows the digits, and the letters of either case.
fn end_of_kind(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(b'9' + 1),
        b'A'..=b'Z' => Some(b'Z' + 1),
        b'a'..=b'z' => Some(b'z' + 1),
        _ => None,
    }
}

/// The end of a key comes before all bytes.
fn digit(key: &[u8], at: usize) -> u16 {
    key.get(at).map_or(0, |byte| u16::from(*byte) + 1)
}

/// How two keys differ.
enum Differ {
    /// First at a place with room between, up to a digit there.
    At(usize, u16),
    /// By a digit of one, and behind it: this key lies between.
    Between(Vec<u8>),
}

/// `None` where nothing lies between.
fn differ(low: &[u8], high: Option<&[u8]>) -> Option<Differ> {
    // Whatever follows in keys that begin as the lower one lies between, if it has bytes to follow.
    let untold = |from: usize| {
        let at = (from..=low.len()).find(|at| digit(low, *at) < PAST_BYTES)?;
        Some(Differ::At(at, PAST_BYTES + 1))
    };
    let Some(high) = high else { return untold(0) };
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
    untold(at + 1)
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
    fn where_to_look_lies_between() {
        for low in KEYS {
            for high in KEYS.into_iter().filter(|high| low < *high) {
                for beyond in [0, 1, 2, 3, usize::MAX] {
                    match split(low, Some(high), beyond) {
                        Some((at, _)) => assert!(low < &at[..] && &at[..] < high, "{low:?} {at:?} {high:?}"),
                        None => assert_eq!(high, [low, b"\0"].concat(), "nothing lies between"),
                    }
                }
            }
            for beyond in [0, 1, 2, 3, usize::MAX] {
                assert!(split(low, None, beyond).is_some_and(|(at, _)| low < &at[..]), "{low:?} {beyond}");
            }
        }
        let longest = [b'a'; SORT_BYTES];
        let next = [&longest[1..], b"b"].concat();
        assert_eq!(split(&longest, Some(&next), usize::MAX), None, "what lies between is longer than a sort key");
    }

    #[test]
    fn looking_ends() {
        for low in KEYS {
            let (mut high, mut looks) = (None, 0);
            while let Some((at, _)) = split(low, high.as_deref(), usize::MAX).filter(|_| looks < 10_000) {
                (high, looks) = (Some(at), looks + 1);
            }
            assert!(looks < 8 * (SORT_BYTES + 1), "{low:?}: {looks}");
        }
    }
}
