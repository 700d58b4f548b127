//! Scans: the items of all partitions, in the order of the names of their documents, which begin with a hash.
//!
//! `partitionQuery` would split a table more evenly, but at points that move while the table is written: two segments
//! that are scanned one after the other would overlap or leave a gap.

use isobar_abstraction::driver::key_value::{Items, ScanSegment};
use isobar_abstraction::{Error, Origin, Result};

use super::FirestoreKeyValue;
use super::key::{HASHES, hash};
use super::range::{Cursor, StructuredQuery};
use super::stored::TypedValue;

impl FirestoreKeyValue {
    /// One page. The cursor is the path of the last document below the collection.
    pub(super) async fn scan_items(&self, segment: &ScanSegment) -> Result<Items> {
        let [from, to] = bounds(segment)?;
        if from == to {
            return Ok(Items::default());
        }
        let all = format!("{}/{}", self.documents().await?, self.collection);
        let name = |path: &str| TypedValue::Reference(format!("{all}/{path}"));
        // No item has this name: a partition has at least one byte after its hash.
        let bound = |number: u64| name(&format!("{}/{}/s", hash(number), self.collection));
        let start = match &segment.after {
            Some(after) => Some(Cursor::after(name(self.cursor(after, from, to)?))),
            None => (from > 0).then(|| Cursor::before(bound(from))),
        };
        let end = (to < HASHES).then(|| Cursor::before(bound(to)));
        let (parent, field, limit) = (String::new(), "__name__", self.page_size.items(segment.limit));
        let query = StructuredQuery { parent, field, descending: false, start, end, limit };
        let below = |path: &str| path.get(self.collection.len() + 1..).unwrap_or_default().to_owned();
        let page = self.page(query, |_, path| below(path)).await?;
        self.page_size.learn(&page.items);
        Ok(page)
    }

    /// Checks a cursor. Errors: `InvalidInput` for a cursor that is not of a page of the same segment.
    fn cursor<'a>(&self, after: &'a str, from: u64, to: u64) -> Result<&'a str> {
        let valid = || {
            let (partition, rest) = after.split_once('/')?;
            let sort = rest.strip_prefix(self.collection.as_str())?.strip_prefix('/')?;
            let digits = partition.get(..4)?;
            let number = u64::from_str_radix(digits, 16).ok().filter(|number| hash(*number) == digits)?;
            (sort.starts_with('s') && !sort.contains('/') && (from..to).contains(&number)).then_some(after)
        };
        valid().ok_or_else(|| {
            Error::invalid_input("the cursor is not of this scan: use that of the previous page")
                .with_origin(Origin::Request)
        })
    }
}

/// The hashes of a segment: the first, and the one after the last. Errors: `InvalidInput`.
fn bounds(segment: &ScanSegment) -> Result<[u64; 2]> {
    let ScanSegment { segment, segments, .. } = *segment;
    if segment >= segments {
        return Err(
            Error::invalid_input("the segment must be less than the number of segments").with_origin(Origin::Request)
        );
    }
    Ok([segment, segment + 1].map(|number| u64::from(number) * HASHES / u64::from(segments)))
}
