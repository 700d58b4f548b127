//! One AWS service in one region: its endpoint, and the signatures of its calls.

mod account;
pub(crate) mod sign;
pub(crate) mod signed;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::encoded;
use isobar_rest::{Answered, Safety, ServiceError};
use object_store::PutPayload;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use url::Url;

use crate::config::{Placed, check_region, signing_name};
use crate::{State, service_error};

use signed::Signed;

/// One AWS service in one region. Made by [`AwsProvider::service`](crate::AwsProvider::service).
///
/// For services that isobar has no trait for: requests are signed with the provider's credentials,
/// sent through its client, and repeated as AWS's own SDKs would.
#[derive(Clone)]
pub struct AwsService {
    state: Arc<State>,
    name: &'static str,
    region: String,
    endpoint: String,
    /// The name of the table or the topic that is called, for errors.
    resource: Option<String>,
}

impl fmt::Debug for AwsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsService").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl AwsService {
    /// `name` is what the names of the service's hosts begin with: `dynamodb`, `sns`, `sqs`, `lambda`.
    /// Errors: `Config` without a region.
    pub(crate) fn new(state: Arc<State>, name: &'static str, region: Option<&str>) -> Result<Self> {
        let region = region.map_or_else(|| state.config.region(), |region| check_region("the region", region))?;
        let endpoint = state.config.endpoint(name, &region);
        Ok(Self { state, name, region, endpoint, resource: None })
    }

    /// The service where a resource lives. Errors: `Config` without a region.
    pub(crate) fn at(state: Arc<State>, name: &'static str, placed: &Placed) -> Result<Self> {
        let service = Self::new(state, name, placed.region.as_deref())?;
        let endpoint = placed.endpoint.clone().unwrap_or(service.endpoint);
        Ok(Self { endpoint, resource: Some(placed.name.clone()), ..service })
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// What the URLs of its queues begin with.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a call, and answers its success. The URI of `request` is a path and a query, such as
    /// `/2015-03-31/functions?MaxItems=10`; a `+` in the query stands for a space.
    ///
    /// Errors: by what the service's code says; `outcome_unknown` for a write that may have been made.
    pub async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>> {
        let (mut parts, body) = request.into_parts();
        if !parts.headers.values().all(|value| value.to_str().is_ok()) {
            return Err(Error::invalid_input("a header's value is not ASCII, and cannot be signed"));
        }
        let mut url = self.url(parts.uri.path())?;
        // Only S3 has names with empty parts; what signs does not take them out, as the others want it.
        if self.name != "s3" && url.path().contains("//") {
            return Err(Error::invalid_input("the path of the request has an empty part"));
        }
        url.set_query(parts.uri.query().map(canonical).as_deref());
        let wrong = |_| Error::invalid_input("the path of the request is malformed");
        parts.uri = url.as_str().parse().map_err(wrong)?;
        Ok(self.exchange(operation, safety, Request::from_parts(parts, body)).await??)
    }

    /// Calls an operation of a service that speaks AWS JSON 1.0 (`DynamoDB_20120810`, `AmazonSQS`).
    /// The inner result is the service's own: the body, or its service error.
    pub(crate) async fn json(
        &self,
        target: &str,
        operation: &'static str,
        safety: Safety,
        input: &(impl Serialize + Sync),
    ) -> Result<Answered<Bytes>> {
        let body = serde_json::to_vec(input)?;
        let request = Request::post(self.url("/")?.as_str())
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", format!("{target}.{operation}"))
            .body(Bytes::from(body));
        self.send(operation, safety, request).await
    }

    /// Calls an operation of a service that speaks AWS Query and answers XML (SNS).
    pub(crate) async fn query(&self, operation: &'static str, safety: Safety, form: String) -> Result<Answered<Bytes>> {
        let request = Request::post(self.url("/")?.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form));
        self.send(operation, safety, request).await
    }

    async fn send(
        &self,
        operation: &'static str,
        safety: Safety,
        request: std::result::Result<Request<Bytes>, http::Error>,
    ) -> Result<Answered<Bytes>> {
        let wrong = |error| Error::internal("the request cannot be made").with_source(error);
        let answer = self.exchange(operation, safety, request.map_err(wrong)?).await?;
        Ok(answer.map(Response::into_body))
    }

    fn url(&self, path: &str) -> Result<Url> {
        let wrong = |error| Error::config(format!("`{}` is not an endpoint", self.endpoint)).with_source(error);
        Url::parse(&format!("{}{path}", self.endpoint)).map_err(wrong)
    }

    async fn exchange(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<Bytes>,
    ) -> Result<Answered<Response<Bytes>>> {
        let read = |answer: &Response<Bytes>| service_error::read(answer, &self.place());
        let signed = Signed::new(&self.state, signing_name(self.name), &self.region, &read);
        signed.call(operation, safety, request.map(PutPayload::from)).await
    }

    /// The same service error by the code and message of a part of its answer.
    pub(crate) fn refused_by(&self, service_error: &ServiceError, code: String, message: &str) -> ServiceError {
        let uncertain = service_error.uncertain;
        ServiceError { uncertain, ..service_error::of_code(&service_error.answer, code, message, &self.place()) }
    }

    /// What is called, as errors say it.
    fn place(&self) -> String {
        let resource = self.resource.as_ref().map(|name| format!("`{name}` of ")).unwrap_or_default();
        format!("{resource}{} in {} ({})", self.name, self.region, self.endpoint)
    }
}

/// A query in the form in which it is signed, so that it is sent alike.
///
/// Source: "Create a signed AWS API request", IAM User Guide.
fn canonical(query: &str) -> String {
    let again = |text: &str| encoded(percent_decode_str(&text.replace('+', " ")).collect::<Vec<_>>());
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) => format!("{}={}", again(name), again(value)),
        None => again(pair),
    };
    query.split('&').filter(|it| !it.is_empty()).map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests;
