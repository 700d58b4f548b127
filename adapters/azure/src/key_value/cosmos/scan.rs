//! Scans: segments of the hashes of partition keys, page by page through the partition key ranges.
//!
//! The range of a hash changes when Cosmos DB splits or merges ranges. So a cursor contains hashes, never ranges, and
//! each page reads the ranges again. A continuation of an older range is valid for each part of it: Azure's clients
//! continue in the same way after a split.
//!
//! The headers are those of Azure's clients in gateway mode, such as `azure-cosmos` for Python: a whole range by its
//! id; a part of a range by the id and both bounds of the part.

use std::collections::HashSet;

use http::Method;
use isobar_abstraction::driver::key_value::{Items, ScanSegment};
use isobar_abstraction::{Error, Origin, Result};
use isobar_rest::Safety;
use isobar_rest::attempt::{pause, throttled};
use serde::{Deserialize, Serialize};

use super::range::PAGE_ITEMS;
use super::read::Feed;
use super::request::Ask;
use super::service_error::is_range_gone;
use super::{CosmosKeyValue, TRIES};

/// The exclusive bound after the last hash.
const END: &str = "FF";

/// The first hash: an empty header means the same, but a proxy may drop it.
const FIRST: &str = "00000000000000000000000000000000";

/// The number of hashes: the two highest of their 128 bits are 0.
const HASHES: u128 = 1 << 126;

/// The most segments of a scan.
const MOST_SEGMENTS: u32 = 1_000_000;

/// The remaining chunks of a segment, in order.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rest(Vec<Chunk>);

/// Hashes in upper-case hex, from `from` up to and without `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Chunk {
    from: String,
    to: String,
    /// The continuation of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// A partition key range: the hashes of one physical partition.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    id: String,
    min_inclusive: String,
    max_exclusive: String,
    /// The ids of the ranges that it was split from.
    #[serde(default)]
    parents: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Ranges {
    #[serde(rename = "PartitionKeyRanges")]
    ranges: Vec<Range>,
}

impl Rest {
    /// A whole segment. Errors: `InvalidInput`.
    fn of(segment: &ScanSegment) -> Result<Self> {
        let ScanSegment { segment, segments, .. } = *segment;
        if segments > MOST_SEGMENTS || segment >= segments {
            return Err(Error::invalid_input(format!("a scan has 1 to {MOST_SEGMENTS} segments, numbered from 0"))
                .with_origin(Origin::Request));
        }
        let bound = |number: u32| match number {
            0 => String::new(),
            _ if number == segments => END.to_owned(),
            _ => format!("{:032X}", HASHES / u128::from(segments) * u128::from(number)),
        };
        Ok(Self(vec![Chunk { from: bound(segment), to: bound(segment + 1), after: None }]))
    }

    /// Reads a cursor. Errors: `InvalidInput` where it is not from a page of the same segment.
    fn parse(text: &str, segment: &ScanSegment) -> Result<Self> {
        let wrong = || {
            Error::invalid_input("not a cursor of this scan: pass the cursor of the previous page")
                .with_origin(Origin::Request)
        };
        let rest: Self = serde_json::from_str(text).map_err(|_| wrong())?;
        let whole = Self::of(segment)?;
        let within = |chunk: &Chunk| {
            let hex = |hash: &str| hash.bytes().all(|byte| b"0123456789ABCDEF".contains(&byte));
            let inside = whole.0.iter().any(|whole| whole.from <= chunk.from && chunk.to <= whole.to);
            hex(&chunk.from) && hex(&chunk.to) && chunk.from < chunk.to && inside
        };
        if !rest.0.is_empty() && rest.0.iter().all(within) { Ok(rest) } else { Err(wrong()) }
    }

    /// The range of the first chunk, which is split where the range ends. Errors: `Internal`.
    fn route(&mut self, ranges: &[Range]) -> Result<Range> {
        let lost = || Error::internal("Cosmos DB returned no partition key range for a part of the scan");
        let first = self.0.first_mut().ok_or_else(lost)?;
        let holds = |range: &&Range| range.min_inclusive <= first.from && first.from < range.max_exclusive;
        let range = ranges.iter().find(holds).ok_or_else(lost)?.clone();
        if range.max_exclusive < first.to {
            let beyond = Chunk { from: range.max_exclusive.clone(), ..first.clone() };
            first.to.clone_from(&range.max_exclusive);
            self.0.insert(1, beyond);
        }
        Ok(range)
    }

    /// Continues after a page of the first chunk.
    fn advance(&mut self, continuation: Option<&str>) {
        match (self.0.first_mut(), continuation) {
            (Some(first), Some(continuation)) => first.after = Some(continuation.to_owned()),
            (Some(_), None) => drop(self.0.remove(0)),
            (None, _) => {}
        }
    }
}

impl CosmosKeyValue {
    /// One page of the first partition key range that has items.
    pub(super) async fn scan_items(&self, segment: &ScanSegment) -> Result<Items> {
        let mut rest = match &segment.after {
            Some(text) => Rest::parse(text, segment)?,
            None => Rest::of(segment)?,
        };
        let mut ranges = self.ranges().await?;
        let mut failures = 0;
        while failures < TRIES {
            let range = rest.route(&ranges)?;
            match self.scan_chunk(&mut rest, &range, segment.limit).await? {
                Some(items) if !items.items.is_empty() || rest.0.is_empty() => return Ok(items),
                Some(_) => failures = 0,
                None => {
                    failures += 1;
                    pause(&*self.clock, failures).await;
                    ranges = self.ranges().await?;
                }
            }
        }
        Err(throttled("Cosmos DB moved the scanned partitions at every attempt"))
    }

    /// `None` where the range is gone.
    async fn scan_chunk(&self, rest: &mut Rest, range: &Range, limit: usize) -> Result<Option<Items>> {
        let Some(chunk) = rest.0.first() else { return Ok(Some(Items::default())) };
        let mut ask = Ask::items("ReadFeed", Method::GET, Safety::Read)
            .ranged()
            .with("x-ms-documentdb-partitionkeyrangeid", range.id.as_str())
            .with("x-ms-max-item-count", limit.clamp(1, PAGE_ITEMS).to_string());
        if chunk.from != range.min_inclusive || chunk.to != range.max_exclusive {
            ask = ask
                .with("x-ms-start-epk", if chunk.from.is_empty() { FIRST } else { &chunk.from })
                .with("x-ms-end-epk", chunk.to.as_str())
                .with("x-ms-read-key-type", "EffectivePartitionKeyRange");
        }
        if let Some(after) = &chunk.after {
            ask = ask.with("x-ms-continuation", after.as_str());
        }
        let page = match self.container.ask(ask).await? {
            Ok(page) => page,
            Err(service_error) if is_range_gone(&service_error) => return Ok(None),
            Err(service_error) => return Err(service_error.into()),
        };
        rest.advance(page.continuation());
        let now = self.clock.now();
        let mut items = Items::default();
        for found in page.read::<Feed>()?.items {
            let key = found.key()?;
            items.items.extend(found.into_item(key, now)?);
        }
        items.resume = (!rest.0.is_empty()).then(|| serde_json::to_string(rest)).transpose()?;
        Ok(Some(items))
    }

    /// All ranges. A range may be split between two pages: then the feed contains both the range and its parts.
    async fn ranges(&self) -> Result<Vec<Range>> {
        let mut ranges = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let ask = after.iter().fold(Ask::ranges(), |ask, after| ask.with("x-ms-continuation", after));
            let page = self.container.ask(ask).await??;
            ranges.extend(page.read::<Ranges>()?.ranges);
            match page.continuation() {
                Some(continuation) => after = Some(continuation.to_owned()),
                None => return Ok(without_parents(ranges)),
            }
        }
    }
}

fn without_parents(mut ranges: Vec<Range>) -> Vec<Range> {
    let parents: HashSet<_> = ranges.iter().flat_map(|range| range.parents.clone()).collect();
    ranges.retain(|range| !parents.contains(&range.id));
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(segment: u32, segments: u32) -> ScanSegment {
        ScanSegment::new(segment, segments, 10)
    }

    fn range(id: &str, min: &str, max: &str) -> Range {
        let (id, min_inclusive, max_exclusive) = (id.to_owned(), min.to_owned(), max.to_owned());
        Range { id, min_inclusive, max_exclusive, parents: Vec::new() }
    }

    #[test]
    fn segments_are_disjoint_and_complete_and_of_one_size() {
        for segments in [1, 2, 3, 7, 1_000] {
            let chunks: Vec<_> =
                (0..segments).flat_map(|number| Rest::of(&segment(number, segments)).unwrap().0).collect();
            assert_eq!((chunks[0].from.as_str(), chunks[chunks.len() - 1].to.as_str()), ("", "FF"));
            assert!(chunks.windows(2).all(|pair| pair[0].to == pair[1].from && pair[0].from < pair[0].to));
        }
        assert_eq!(Rest::of(&segment(1, 4)).unwrap().0[0].from, format!("1{}", "0".repeat(31)));
        assert!(Rest::of(&segment(3, 3)).is_err());
    }

    #[test]
    fn after_a_split_each_part_continues_after_the_last_page_of_the_whole() {
        let mut rest = Rest::of(&segment(0, 1)).unwrap();
        assert_eq!(rest.route(&[range("0", "", "FF")]).unwrap().id, "0");
        rest.advance(Some("here"));
        let split = [range("1", "", "1F"), range("2", "1F", "FF")];
        assert_eq!(rest.route(&split).unwrap().id, "1");
        let chunk = |from: &str, to: &str, after: Option<&str>| Chunk {
            from: from.to_owned(),
            to: to.to_owned(),
            after: after.map(str::to_owned),
        };
        assert_eq!(rest.0, [chunk("", "1F", Some("here")), chunk("1F", "FF", Some("here"))]);
        rest.advance(None);
        assert_eq!(rest.route(&split).unwrap().id, "2");
        rest.advance(None);
        assert!(rest.0.is_empty());
    }

    #[test]
    fn a_malformed_cursor_or_one_of_another_segment_is_rejected() {
        let second = serde_json::to_string(&Rest::of(&segment(1, 2)).unwrap()).unwrap();
        assert!(Rest::parse(&second, &segment(1, 2)).is_ok());
        for text in
            [second.as_str(), "", "[]", "{}", "[{\"from\":\"x\",\"to\":\"y\"}]", "[{\"from\":\"1\",\"to\":\"0\"}]"]
        {
            assert!(Rest::parse(text, &segment(0, 2)).is_err(), "{text}");
        }
    }
}
