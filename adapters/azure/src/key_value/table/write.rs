//! Puts and deletes.

use bytes::Bytes;
use http::Response;
use isobar_abstraction::driver::key_value::{Key, Put, PutMode, Version};
use isobar_abstraction::{Error, Result};
use isobar_rest::{ServiceError, unknown};

use super::change::Change;
use super::key::RowKey;
use super::service_error::{is_absent, is_condition};
use super::stored::{Content, Found, Tag};
use super::{TRIES, TableKeyValue, busy};
use isobar_rest::attempt::{changed, pause, taken, unique};

/// What must be stored for a put to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum On {
    /// Anything, or nothing.
    Any,
    /// No row.
    Absent,
    /// A row with this ETag.
    Etag(String),
}

/// What came of one put.
enum Attempt {
    Done(Version),
    /// It was not done, because of what is stored; which is read only where it decides.
    Refused {
        stored: Option<Found>,
        uncertain: bool,
    },
}

impl TableKeyValue {
    pub(super) async fn put_item(&self, put: &Put) -> Result<Version> {
        let write = unique()?;
        match &put.mode {
            PutMode::Overwrite => match self.attempt(put, &write, &On::Any).await? {
                Attempt::Done(version) => Ok(version),
                Attempt::Refused { uncertain, .. } => {
                    Err(unknown(Error::internal("Table Storage refused a write that has no condition"), uncertain))
                }
            },
            PutMode::Create => self.create(put, &write).await,
            PutMode::Update(version) => {
                let etag = self.live_etag(&put.key, version)?;
                match self.attempt(put, &write, &On::Etag(etag)).await? {
                    Attempt::Done(version) => Ok(version),
                    Attempt::Refused { uncertain, .. } => Err(unknown(changed(&put.key), uncertain)),
                }
            }
            _ => Err(Error::unknown_variant("PutMode")),
        }
    }

    /// A row that is there is read: it may have expired, and then is written over; or it is what an
    /// attempt of ours wrote, whose answer was lost.
    async fn create(&self, put: &Put, write: &str) -> Result<Version> {
        let mut on = On::Absent;
        let mut lost = false;
        for attempt in 0..TRIES {
            let (stored, uncertain) = match self.attempt(put, write, &on).await.map_err(|error| unknown(error, lost))? {
                Attempt::Done(version) => return Ok(version),
                Attempt::Refused { stored, uncertain } => (stored, uncertain),
            };
            lost |= uncertain;
            on = match stored {
                Some(found) if !found.tag.is_live(self.now()) => On::Etag(found.tag.etag),
                // Ours may have been deleted since: it must not come back.
                None if !lost => On::Absent,
                _ => return Err(unknown(taken(&put.key), lost)),
            };
            pause(&*self.clock, attempt).await;
        }
        Err(unknown(busy(&put.key), lost))
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
            let stored = self.find(&row).await.map_err(|error| unknown(error, uncertain))?;
            return Ok(match stored {
                Some(found) if found.tag.write == write => Attempt::Done(found.tag.version(&put.key)),
                stored => Attempt::Refused { stored, uncertain },
            });
        }
        // A row that had expired may have been replaced or deleted meanwhile.
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
        tag.map(|tag| tag.etag).ok_or_else(|| changed(key))
    }
}

/// A delete that finds nothing after a lost answer may itself have been what deleted it.
fn settle_delete(key: &Key, version: Option<&Version>, service_error: &ServiceError) -> Result<()> {
    match version {
        None if is_absent(service_error) => Ok(()),
        _ => Err(unknown(changed(key), service_error.uncertain)),
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
    let missing = || Error::internal("Table Storage answered a write without its ETag").with_outcome_unknown();
    etag.map(str::to_owned).ok_or_else(missing)
}
