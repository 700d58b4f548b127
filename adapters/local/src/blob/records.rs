//! The records of objects in redb: everything except the content.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Bound;

use isobar_abstraction::clock::{from_millis, to_utc};
use isobar_abstraction::driver::blob::flat::{check_mode, page_start};
use isobar_abstraction::driver::blob::{ListRequest, STANDARD_HEADERS};
use isobar_abstraction::{Error, Result};
use object_store::path::Path;
use object_store::{Attribute, AttributeValue, Attributes, ObjectMeta, PutMode};
use redb::{AccessGuard, Range, ReadOnlyTable, ReadTransaction, ReadableTable, StorageError, Table};

use crate::family::Family;
use crate::profile::PROFILE;
use crate::store::failed;

/// Content id, size, time of the write in milliseconds, attributes as JSON.
pub(super) type Row = (u128, u64, u64, &'static [u8]);

/// The records of each bucket by stored name, as bytes.
pub(super) const RECORDS: Family<&[u8], Row> = Family::new("blob.objects/");

/// The record of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// The id of its content. New for each write, so it is also the version of the object.
    pub(super) id: u128,
    pub(super) size: u64,
    pub(super) modified_ms: u64,
}

impl Record {
    pub(super) fn e_tag(&self) -> String {
        format!("\"{:032x}\"", self.id)
    }

    pub(super) fn meta(&self, name: &str) -> Result<ObjectMeta> {
        Ok(ObjectMeta {
            location: Path::parse(name).map_err(object_store::Error::from)?,
            last_modified: to_utc(from_millis(self.modified_ms)),
            size: self.size,
            e_tag: Some(self.e_tag()),
            version: None,
        })
    }

    fn of((id, size, modified_ms, _): (u128, u64, u64, &[u8])) -> Self {
        Self { id, size, modified_ms }
    }
}

/// The record of this name.
pub(super) fn find(transaction: &ReadTransaction, member: &str, name: &str) -> Result<Option<(Record, Attributes)>> {
    let Some(rows) = RECORDS.open(transaction, member)? else { return Ok(None) };
    let row = rows.get(name.as_bytes()).map_err(failed)?;
    row.map(|row| Ok((Record::of(row.value()), decode(row.value().3)?))).transpose()
}

/// Stores the record of a name, if `mode` allows it. Returns the id of the replaced content.
pub(super) fn put(
    rows: &mut Table<'_, &'static [u8], Row>,
    name: &str,
    mode: &PutMode,
    record: Record,
    attributes: &[u8],
) -> Result<Option<u128>> {
    let stored = rows.get(name.as_bytes()).map_err(failed)?.map(|row| Record::of(row.value()));
    check_mode(mode, stored.map(|stored| stored.e_tag()).as_deref())?;
    let Record { id, size, modified_ms } = record;
    rows.insert(name.as_bytes(), (id, size, modified_ms, attributes)).map_err(failed)?;
    Ok(stored.map(|stored| stored.id))
}

/// The ids of all content that a record names.
pub(super) fn named(rows: &ReadOnlyTable<&'static [u8], Row>, ids: &mut HashSet<u128>) -> Result<()> {
    for row in rows.iter().map_err(failed)? {
        ids.insert(row.map_err(failed)?.1.value().0);
    }
    Ok(())
}

/// Calls `visit` with the bucket, the stored name and the attributes of each object.
pub(crate) fn each_record(transaction: &ReadTransaction, mut visit: impl FnMut(&str, &str, &Attributes)) -> Result<()> {
    for bucket in RECORDS.names(transaction)? {
        let Some(rows) = RECORDS.open(transaction, &RECORDS.member(&bucket))? else { continue };
        for row in rows.iter().map_err(failed)? {
            let (name, row) = row.map_err(failed)?;
            visit(&bucket, &String::from_utf8_lossy(name.value()), &decode(row.value().3)?);
        }
    }
    Ok(())
}

/// Encodes attributes for a record. Errors: `Unsupported` for an attribute that a record cannot contain.
pub(super) fn encode(attributes: &Attributes) -> Result<Vec<u8>> {
    if attributes.is_empty() {
        return Ok(Vec::new());
    }
    let pair = |(attribute, value): (&Attribute, &AttributeValue)| {
        let standard = STANDARD_HEADERS.iter().find(|(_, known)| known == attribute);
        let name = match (standard, attribute) {
            (Some((name, _)), _) => Cow::from(*name),
            (None, Attribute::Metadata(name)) => Cow::from(format!("{METADATA}{name}")),
            _ => return Err(Error::unsupported("put", PROFILE.provider, "leave out the storage class")),
        };
        Ok((name, value.as_ref().to_owned()))
    };
    let pairs = attributes.iter().map(pair).collect::<Result<Vec<_>>>()?;
    Ok(serde_json::to_vec(&pairs)?)
}

/// No header has a colon in its name.
const METADATA: &str = "metadata:";

fn decode(stored: &[u8]) -> Result<Attributes> {
    if stored.is_empty() {
        return Ok(Attributes::new());
    }
    let damaged = || Error::internal("the record of the object is damaged; write the object again");
    let pairs: Vec<(String, String)> = serde_json::from_slice(stored).map_err(|error| damaged().with_source(error))?;
    let attribute = |name: &str| match STANDARD_HEADERS.into_iter().find(|(known, _)| *known == name) {
        Some((_, attribute)) => Some(attribute),
        None => Some(Attribute::Metadata(name.strip_prefix(METADATA)?.to_owned().into())),
    };
    let pair =
        |(name, value): (String, String)| Ok((attribute(&name).ok_or_else(damaged)?, AttributeValue::from(value)));
    pairs.into_iter().map(pair).collect()
}

/// The records of a listing: all in its range, but only the first of each prefix.
pub(super) struct Names<'r> {
    request: &'r ListRequest,
    rows: ReadOnlyTable<&'static [u8], Row>,
    range: Range<'static, &'static [u8], Row>,
}

type Found = (AccessGuard<'static, &'static [u8]>, AccessGuard<'static, Row>);

impl<'r> Names<'r> {
    pub(super) fn new(request: &'r ListRequest, rows: ReadOnlyTable<&'static [u8], Row>) -> Result<Self> {
        let start = match &request.after {
            // The page before ended with a group: none of its objects is looked at again.
            Some(after) if group_of(request, after) == Some(after) => Bound::Included(behind(after)),
            _ => page_start(request).map(|name| name.as_bytes().to_owned()),
        };
        let range = range_from(&rows, &start)?;
        Ok(Self { request, rows, range })
    }

    fn look(&mut self, found: Result<Found, StorageError>) -> Result<(String, Record)> {
        let (name, row) = found.map_err(failed)?;
        let name = String::from_utf8(name.value().to_owned())
            .map_err(|error| Error::internal("the name of an object is damaged").with_source(error))?;
        if let Some(group) = group_of(self.request, &name) {
            self.range = range_from(&self.rows, &Bound::Included(behind(group)))?;
        }
        Ok((name, Record::of(row.value())))
    }
}

impl Iterator for Names<'_> {
    type Item = Result<(String, Record)>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.range.next()?;
        Some(self.look(found))
    }
}

fn range_from(
    rows: &ReadOnlyTable<&'static [u8], Row>,
    start: &Bound<Vec<u8>>,
) -> Result<Range<'static, &'static [u8], Row>> {
    rows.range::<&[u8]>((start.as_ref().map(Vec::as_slice), Bound::Unbounded)).map_err(failed)
}

/// What the name is grouped under: all up to and with the first delimiter after the prefix.
fn group_of<'n>(request: &ListRequest, name: &'n str) -> Option<&'n str> {
    let delimiter = request.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
    let rest = name.strip_prefix(&request.prefix)?;
    Some(&name[..request.prefix.len() + rest.find(delimiter)? + delimiter.len()])
}

/// The first bytes that come after all names of a group.
fn behind(group: &str) -> Vec<u8> {
    let mut bytes = group.as_bytes().to_owned();
    if let Some(last) = bytes.last_mut() {
        // The last byte of UTF-8 text is at most 0xBF.
        *last += 1;
    }
    bytes
}
