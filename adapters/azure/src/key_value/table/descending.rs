//! Queries in descending order, which the service does not have: it answers in ascending order only.
//!
//! What a query costs: one request where up to 1,000 items are asked for and the range has no more rows
//! than that; two, the first for keys alone, where fewer are asked for and the range has no more than 100
//! rows, or than are asked for. In a larger range its upper end is looked for, by halving what lies
//! between the keys that are known, with requests for at most 100 to 1,000 keys: as many as it takes to
//! tell the last keys from those before, which is some 8 for each character in which they differ. That
//! does not grow with the table: the last of a million keys `event-0000001` … are found in less than 40
//! requests, where to read the range would take 1,000.

use std::ops::Bound;

use isobar_abstraction::Result;
use isobar_abstraction::key_value::{Items, QueryRange};

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
        let mut parts = vec![Part { from: bytes(&range.lower), dense: false }];
        let mut tail = Tail::default();
        while let Some(part) = parts.last_mut().filter(|_| tail.live < range.limit) {
            if part.dense {
                match middle(&part.from, &upper) {
                    Some(middle) => parts.push(Part { from: Bound::Included(middle), dense: false }),
                    None => part.dense = false,
                }
                continue;
            }
            let (seen, more) = self.look(range, &part.from, &upper, top).await?;
            match seen.last().filter(|_| more) {
                Some(last) => {
                    let from = Bound::Excluded(last.sort.clone().into_bytes());
                    parts.push(Part { from, dense: true });
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

/// Something between two ends, as far from both as their first different bytes allow.
fn middle(from: &End, to: &End) -> Option<Vec<u8>> {
    let low = end(from).unwrap_or_default();
    let high = end(to);
    let same = high.map_or(0, |high| low.iter().zip(high).take_while(|(low, high)| low == high).count());
    // The end of a key comes before all bytes.
    let digit = |key: &[u8], at: usize| key.get(at).map_or(0, |byte| u16::from(*byte) + 1);
    let mut at = same;
    let mut top = high.map_or(PAST_BYTES + 1, |high| digit(high, at));
    loop {
        let bottom = digit(low, at);
        if top > bottom + 1 {
            let mut middle = low[..at].to_vec();
            middle.push(u8::try_from(u16::midpoint(bottom, top) - 1).ok()?);
            return Some(middle).filter(|middle| middle.len() <= SORT_BYTES);
        }
        match high {
            Some(high) if at == same && high.len() > at + 1 && top > bottom => return Some(high[..=at].to_vec()),
            _ if at >= low.len() => return None,
            _ => (at, top) = (at + 1, PAST_BYTES + 1),
        }
    }
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

    fn between(low: &[u8], high: Option<&[u8]>) -> Option<Vec<u8>> {
        let high = high.map_or(Bound::Unbounded, |high| Bound::Excluded(high.to_vec()));
        middle(&Bound::Excluded(low.to_vec()), &high)
    }

    #[test]
    fn the_middle_lies_between() {
        let keys: [&[u8]; 12] = [
            b"",
            b"\0",
            b"\0\0",
            b"a",
            b"a\0",
            b"aa",
            b"ab",
            b"abc",
            b"b",
            b"\xf4\x8f\xbf\xbf",
            b"event-1",
            b"event-2",
        ];
        for low in keys {
            for high in keys.iter().copied().filter(|high| low < *high) {
                match between(low, Some(high)) {
                    Some(middle) => assert!(low < &middle[..] && &middle[..] < high, "{low:?} {middle:?} {high:?}"),
                    None => assert_eq!(high, [low, b"\0"].concat(), "nothing lies between"),
                }
            }
            assert!(between(low, None).is_some_and(|middle| low < &middle[..]), "{low:?}");
        }
        let longest = [b'a'; SORT_BYTES];
        assert_eq!(between(&longest, Some(&[&[b'a'; SORT_BYTES - 1][..], b"b"].concat())), None);
    }

    #[test]
    fn halving_ends_soon() {
        // With nothing above it, as `tail` finds it.
        let low = b"event-0001000";
        let (mut high, mut looks) = (Bound::Unbounded, 0);
        while let Some(middle) = middle(&Bound::Excluded(low.to_vec()), &high).filter(|_| looks < 1_000) {
            high = Bound::Excluded(middle);
            looks += 1;
        }
        assert!(looks < 1_000, "{looks}");
    }
}
