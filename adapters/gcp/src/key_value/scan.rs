//! Scans: the items of all partitions, in the order of their documents' names, which begin with a hash.
//!
//! `partitionQuery` would cut a table more evenly, but at points that move while the table is written: two
//! segments that are scanned one after the other would not fit together.

use isobar_abstraction::driver::key_value::{Items, ScanSegment};
use isobar_abstraction::{Error, Origin, Result};

use super::FirestoreKeyValue;
use super::key::{HASHES, hash};
use super::range::{Course, Cursor};
use super::stored::Typed;

impl FirestoreKeyValue {
    /// One page. A cursor is the name of the last document, below the collection.
    pub(super) async fn scan_items(&self, segment: &ScanSegment) -> Result<Items> {
        let [from, to] = bounds(segment)?;
        if from == to {
            return Ok(Items::default());
        }
        let all = format!("{}/{}", self.documents().await?, self.collection);
        let name = |place: &str| Typed::Reference(format!("{all}/{place}"));
        // No item is there: a partition has at least one byte behind its hash.
        let bound = |number: u64| name(&format!("{}/{}/s", hash(number), self.collection));
        let start = match &segment.after {
            Some(after) => Some(Cursor::behind(name(self.cursor(after, from, to)?))),
            None => (from > 0).then(|| Cursor::before(bound(from))),
        };
        let end = (to < HASHES).then(|| Cursor::before(bound(to)));
        let (parent, field, limit) = (String::new(), "__name__", segment.limit);
        let course = Course { parent, field, descending: false, start, end, limit };
        let below = |place: &str| place.get(self.collection.len() + 1..).unwrap_or_default().to_owned();
        self.page(course, |_, place| below(place)).await
    }

    /// Errors: `InvalidInput` where it is not one that a page of the same segment gave.
    fn cursor<'a>(&self, after: &'a str, from: u64, to: u64) -> Result<&'a str> {
        let place = || {
            let (partition, rest) = after.split_once('/')?;
            let sort = rest.strip_prefix(self.collection.as_str())?.strip_prefix('/')?;
            let digits = partition.get(..4)?;
            let number = u64::from_str_radix(digits, 16).ok().filter(|number| hash(*number) == digits)?;
            (sort.starts_with('s') && !sort.contains('/') && (from..to).contains(&number)).then_some(after)
        };
        place().ok_or_else(|| {
            Error::invalid_input("not a cursor of this scan; pass on what the page before gave")
                .with_origin(Origin::Request)
        })
    }
}

/// The hashes of a segment: from the one up to and without the other. Errors: `InvalidInput`.
fn bounds(segment: &ScanSegment) -> Result<[u64; 2]> {
    let ScanSegment { segment, segments, .. } = *segment;
    if segment >= segments {
        return Err(Error::invalid_input("segments are numbered from 0").with_origin(Origin::Request));
    }
    Ok([segment, segment + 1].map(|number| u64::from(number) * HASHES / u64::from(segments)))
}
