//! Puts and deletes.

use bytes::Bytes;
use http::Response;
use isobar_abstraction::driver::key_value::{Key, Put, PutMode, Version};
use isobar_abstraction::{Error, Result};
use isobar_rest::{ServiceError, mark_uncertain};

use super::change::Change;
use super::key::RowKey;
use super::service_error::{is_absent, is_condition};
use super::stored::{Content, Found, Tag};
use super::{TRIES, TableKeyValue, busy};
use isobar_rest::attempt::{already_exists, pause, unique_id, version_conflict};

/// The condition of a put on the stored row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum On {
    /// Any row, or none.
    Any,
    /// No row exists.
    Absent,
    /// The row has this ETag.
    Etag(String),
}

/// The result of one attempt of a put.
enum Attempt {
    Done(Version),
    /// The stored row violates the condition; it is read only where the next step depends on it.
    Refused {
        stored: Option<Found>,
        uncertain: bool,
    },
}

impl TableKeyValue {
    pub(super) async fn put_item(&self, put: &Put) -> Result<Version> {
        let write = unique_id()?;
        match &put.mode {
            PutMode::Overwrite => match self.attempt(put, &write, &On::Any).await? {
                Attempt::Done(version) => Ok(version),
                Attempt::Refused { uncertain, .. } => Err(mark_uncertain(
                    Error::internal("Table Storage reported a condition for a write without one"),
                    uncertain,
                )),
            },
            PutMode::Create => self.create(put, &write).await,
            PutMode::Update(version) => {
                let etag = self.live_etag(&put.key, version)?;
                match self.attempt(put, &write, &On::Etag(etag)).await? {
                    Attempt::Done(version) => Ok(version),
                    Attempt::Refused { uncertain, .. } => Err(mark_uncertain(version_conflict(&put.key), uncertain)),
                }
            }
            _ => Err(Error::unknown_variant("PutMode")),
        }
    }

    /// Creates a row. An existing row is read: it may have expired, and is then replaced; or an earlier attempt wrote it,
    /// whose response was lost.
    async fn create(&self, put: &Put, write: &str) -> Result<Version> {
        let mut on = On::Absent;
        let mut lost = false;
        for attempt in 0..TRIES {
            let (stored, uncertain) =
                match self.attempt(put, write, &on).await.map_err(|error| mark_uncertain(error, lost))? {
                    Attempt::Done(version) => return Ok(version),
                    Attempt::Refused { stored, uncertain } => (stored, uncertain),
                };
            lost |= uncertain;
            on = match stored {
                Some(found) if !found.tag.is_live(self.now()) => On::Etag(found.tag.etag),
                // The row of an earlier attempt may have been deleted since: it must not be written again.
                None if !lost => On::Absent,
                _ => return Err(mark_uncertain(already_exists(&put.key), lost)),
            };
            pause(&*self.clock, attempt).await;
        }
        Err(mark_uncertain(busy(&put.key), lost))
    }

    async fn attempt(&self, put: &Put, write: &str, on: &On) -> Result<Attempt> {
        let row = RowKey::from(&put.key);
        let service_error = match self.requests.write("PutEntity", &change(put, write, on)).await? {
            Ok(answer) => {
                let (write, etag) = (write.to_owned(), etag(&answer)?);
                let tag = Tag { write, etag, expires_at: put.expires_at };
                return Ok(Attempt::Done(tag.version(&put.key)));
            }
            Err(service_error) if is_condition(&service_error) => service_error,
            Err(service_error) => return Err(service_error.into()),
        };
        let uncertain = service_error.uncertain;
        if *on == On::Absent || uncertain {
            let stored = self.find(&row).await.map_err(|error| mark_uncertain(error, uncertain))?;
            return Ok(match stored {
                Some(found) if found.tag.write == write => Attempt::Done(found.tag.version(&put.key)),
                stored => Attempt::Refused { stored, uncertain },
            });
        }
        // The expired row may have been replaced or deleted in the meantime.
        let stored = if put.mode == PutMode::Create { self.find(&row).await? } else { None };
        Ok(Attempt::Refused { stored, uncertain })
    }

    pub(super) async fn delete_item(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let etag = version.map(|version| self.live_etag(key, version)).transpose()?;
        let change = Change::delete(RowKey::from(key), etag.as_deref().unwrap_or("*"));
        match self.requests.write("DeleteEntity", &change).await? {
            Ok(_) => Ok(()),
            Err(service_error) if is_condition(&service_error) => settle_delete(key, version, &service_error),
            Err(service_error) => Err(service_error.into()),
        }
    }

    /// The ETag of a version that has not expired. Errors: `Conflict`.
    pub(super) fn live_etag(&self, key: &Key, version: &Version) -> Result<String> {
        let tag = Tag::of(version, key).filter(|tag| tag.is_live(self.now()));
        tag.map(|tag| tag.etag).ok_or_else(|| version_conflict(key))
    }
}

/// The result of a delete whose condition failed. After a lost response, an earlier attempt may have deleted the row.
fn settle_delete(key: &Key, version: Option<&Version>, service_error: &ServiceError) -> Result<()> {
    match version {
        None if is_absent(service_error) => Ok(()),
        _ => Err(mark_uncertain(version_conflict(key), service_error.uncertain)),
    }
}

/// The request of a put.
pub(super) fn change(put: &Put, write: &str, on: &On) -> Change {
    let row = RowKey::from(&put.key);
    let entity = Content { key: &put.key, value: &put.value, expires_at: put.expires_at, write }.entity(&row);
    match on {
        On::Any => Change::upsert(row, entity),
        On::Absent => Change::insert(entity),
        On::Etag(etag) => Change::replace(row, etag, entity),
    }
}

fn etag(answer: &Response<Bytes>) -> Result<String> {
    let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok());
    let missing = || Error::internal("Table Storage returned no ETag for a write").with_outcome_unknown();
    etag.map(str::to_owned).ok_or_else(missing)
}
