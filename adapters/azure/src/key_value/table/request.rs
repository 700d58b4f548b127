//! The requests to one table.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::encode;
use isobar_rest::{Safety, ServiceResult};

use super::change::{ACCEPT, Change, VERSION_OF_DATA};
use super::key::RowKey;
use super::stored::boundary;
use super::{batch, service_error};
use crate::State;
use crate::config::StorageAccount;
use crate::service::AzureService;

/// The requests to one table.
#[derive(Debug)]
pub(super) struct Requests {
    service: AzureService,
    table: String,
}

impl Requests {
    pub(super) fn new(state: &Arc<State>, account: &StorageAccount, table: String) -> Self {
        let service = AzureService::tables(state, account, service_error::read, service_error::place(account, &table));
        Self { service, table }
    }

    /// Reads one row.
    pub(super) async fn read(&self, row: &RowKey) -> Result<ServiceResult<Response<Bytes>>> {
        self.send("GetEntity", Safety::Read, Request::get(self.url(Some(row))), Bytes::new()).await
    }

    /// Reads rows; `query` is already encoded.
    pub(super) async fn query(&self, query: &str) -> Result<ServiceResult<Response<Bytes>>> {
        let url = self.service.url(&format!("/{}()?{query}", self.table));
        self.send("QueryEntities", Safety::Read, Request::get(url), Bytes::new()).await
    }

    /// Sends one write. Every write may be repeated: where a second attempt would have another effect it has a
    /// condition, and the row contains the id of its write.
    pub(super) async fn write(
        &self,
        operation: &'static str,
        change: &Change,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        let request = Request::builder().method(change.method.clone()).uri(self.url(change.row.as_ref()));
        let request = change.headers().fold(request, |request, (name, value)| request.header(name, value));
        self.send(operation, Safety::Idempotent, request, change.entity.clone()).await
    }

    /// Sends writes of one partition, all or none. Returns the ETag of each.
    pub(super) async fn transact(
        &self,
        changes: &[Change],
        safety: Safety,
    ) -> Result<ServiceResult<Vec<Option<String>>>> {
        let boundary = boundary()?;
        let body = batch::body(&boundary, changes, |change| self.url(change.row.as_ref()));
        let request = Request::post(self.service.url("/$batch"))
            .header(CONTENT_TYPE, format!("multipart/mixed; boundary=batch_{boundary}"));
        let response = match self.send("EntityGroupTransaction", safety, request, body.into()).await? {
            Ok(response) => response,
            Err(service_error) => return Ok(Err(service_error)),
        };
        let parts = batch::parts(response.body());
        if response.status() != StatusCode::ACCEPTED || parts.len() != changes.len() {
            let message =
                format!("Table Storage returned {} of {} writes of a transaction", parts.len(), changes.len());
            return Err(Error::internal(message).with_outcome_unknown());
        }
        Ok(Ok(parts.into_iter().map(|part| part.etag).collect()))
    }

    fn url(&self, row: Option<&RowKey>) -> String {
        let at = self.service.url(&format!("/{}", self.table));
        match row {
            None => at,
            Some(RowKey { partition, row }) => {
                // The encoded keys contain no quotes.
                format!("{at}(PartitionKey='{}',RowKey='{}')", encode(partition), encode(row))
            }
        }
    }

    async fn send(
        &self,
        operation: &'static str,
        safety: Safety,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        let request = request
            .header("accept", ACCEPT)
            .header("dataserviceversion", VERSION_OF_DATA)
            .header("maxdataserviceversion", VERSION_OF_DATA);
        self.service.call(operation, safety, request, body).await
    }
}
