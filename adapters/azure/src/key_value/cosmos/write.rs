//! Puts and deletes.

use http::Method;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::key_value::{Key, Put, PutMode, Version};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Safety, ServiceResult, mark_uncertain};

use super::key::{check_key, id, partition_header};
use super::request::Ask;
use super::service_error::{is_absent, is_condition};
use super::stored::{document, etag_of, version};
use super::{CosmosKeyValue, TRIES};
use isobar_rest::attempt::{already_exists, pause, throttled, unique_id, version_conflict};

/// How an item is written.
#[derive(Debug, Clone, Copy)]
enum Way<'a> {
    Upsert,
    Create,
    /// Replaces the version with this ETag. An upsert with `If-Match` would create an absent item.
    Replace(&'a str),
}

/// A put with its JSON.
struct Prepared<'a> {
    put: &'a Put,
    mark: String,
    document: String,
}

impl Prepared<'_> {
    fn version(&self, etag: &str) -> Version {
        version(etag, self.put.expires_at.map(to_millis))
    }
}

impl CosmosKeyValue {
    /// Puts an item. It may be repeated: the mark distinguishes this write from all others.
    pub(super) async fn put_item(&self, put: &Put) -> Result<Version> {
        let mark = unique_id()?;
        let document = document(put, &mark, self.clock.now())?;
        let prepared = Prepared { put, mark, document };
        match &put.mode {
            PutMode::Overwrite => Ok(self.write(&prepared, Way::Upsert).await??),
            PutMode::Create => self.create(&prepared).await,
            PutMode::Update(version) => self.update(&prepared, version).await,
            _ => Err(Error::unknown_variant("PutMode")),
        }
    }

    async fn write(&self, prepared: &Prepared<'_>, way: Way<'_>) -> Result<ServiceResult<Version>> {
        let Prepared { put, document, .. } = prepared;
        let id = id(&put.key.sort);
        let ask = match way {
            Way::Upsert => {
                let ask = Ask::items("UpsertItem", Method::POST, Safety::Idempotent);
                ask.with("x-ms-documentdb-is-upsert", "True")
            }
            Way::Create => Ask::items("CreateItem", Method::POST, Safety::Idempotent),
            Way::Replace(etag) => Ask::item("ReplaceItem", Method::PUT, Safety::Idempotent, &id).with("if-match", etag),
        };
        let ask = ask.with("x-ms-documentdb-partitionkey", partition_header(&put.key.partition));
        let ask = ask.with("prefer", "return=minimal").with_body("application/json", document.clone());
        match self.container.ask(ask).await? {
            Ok(success) => Ok(Ok(prepared.version(&success.etag()?))),
            Err(service_error) => Ok(Err(service_error)),
        }
    }

    /// Creates an item. An expired one counts as absent and is replaced.
    async fn create(&self, prepared: &Prepared<'_>) -> Result<Version> {
        let key = &prepared.put.key;
        let mut uncertain = false;
        for attempt in 0..TRIES {
            let service_error =
                match self.write(prepared, Way::Create).await.map_err(|error| mark_uncertain(error, uncertain))? {
                    Ok(version) => return Ok(version),
                    Err(service_error) => service_error,
                };
            uncertain |= service_error.uncertain;
            if service_error.status() != 409 {
                return Err(mark_uncertain(service_error.into(), uncertain));
            }
            let stored = self.read(key).await.map_err(|error| mark_uncertain(error, uncertain))?;
            if let Some(stored) = stored {
                if stored.is_marked(&prepared.mark) {
                    return stored.version();
                }
                if !stored.has_expired(self.clock.now()) {
                    return Err(mark_uncertain(already_exists(key), uncertain));
                }
                let over = self.write(prepared, Way::Replace(stored.etag()?)).await;
                match over.map_err(|error| mark_uncertain(error, uncertain))? {
                    Ok(version) => return Ok(version),
                    Err(service_error) if is_condition(&service_error) => uncertain |= service_error.uncertain,
                    Err(service_error) => return Err(mark_uncertain(service_error.into(), uncertain)),
                }
            }
            pause(&*self.clock, attempt).await;
        }
        Err(mark_uncertain(throttled("other writes of the same item were first at every attempt"), uncertain))
    }

    async fn update(&self, prepared: &Prepared<'_>, version: &Version) -> Result<Version> {
        let key = &prepared.put.key;
        let Some(etag) = etag_of(version, self.clock.now()) else { return Err(version_conflict(key)) };
        let service_error = match self.write(prepared, Way::Replace(etag)).await? {
            Ok(version) => return Ok(version),
            Err(service_error) if is_condition(&service_error) => service_error,
            Err(service_error) => return Err(service_error.into()),
        };
        if !service_error.uncertain {
            return Err(version_conflict(key));
        }
        let stored = self.read(key).await.map_err(Error::with_outcome_unknown)?;
        match stored.filter(|stored| stored.is_marked(&prepared.mark)) {
            Some(ours) => ours.version(),
            None => Err(version_conflict(key).with_outcome_unknown()),
        }
    }

    pub(super) async fn delete_item(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        check_key(key)?;
        let id = id(&key.sort);
        let mut ask = Ask::item("DeleteItem", Method::DELETE, Safety::Idempotent, &id)
            .with("x-ms-documentdb-partitionkey", partition_header(&key.partition));
        if let Some(version) = version {
            let Some(etag) = etag_of(version, self.clock.now()) else { return Err(version_conflict(key)) };
            ask = ask.with("if-match", etag);
        }
        match self.container.ask(ask).await? {
            Ok(_) => Ok(()),
            Err(service_error) if is_absent(&service_error) && version.is_none() => Ok(()),
            Err(service_error) if is_condition(&service_error) => {
                Err(mark_uncertain(version_conflict(key), service_error.uncertain))
            }
            Err(service_error) => Err(service_error.into()),
        }
    }
}
