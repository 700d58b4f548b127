//! One AWS service in one region: its endpoint and its signed calls.

mod account;
pub(crate) mod sign;
pub(crate) mod signed;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::encode;
use isobar_rest::{Safety, ServiceError, ServiceResult};
use object_store::PutPayload;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::{Placed, check_region, signing_name};
use crate::{State, service_error};

use signed::Signed;

/// A service of the protocol AWS JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonApi {
    /// The name of the service in the header `x-amz-target`.
    target: &'static str,
    version: &'static str,
}

impl JsonApi {
    pub(crate) const DYNAMODB: Self = Self { target: "DynamoDB_20120810", version: "1.0" };
    pub(crate) const SECRETS_MANAGER: Self = Self { target: "secretsmanager", version: "1.1" };
    pub(crate) const SQS: Self = Self { target: "AmazonSQS", version: "1.0" };
    pub(crate) const SSM: Self = Self { target: "AmazonSSM", version: "1.1" };
}

/// One AWS service in one region. Made by [`AwsProvider::service`](crate::AwsProvider::service).
///
/// For services without a trait in isobar: requests are signed with the provider's credentials,
/// sent through its client, and repeated by the rules of AWS's SDKs.
#[derive(Clone)]
pub struct AwsService {
    state: Arc<State>,
    name: &'static str,
    region: String,
    endpoint: String,
    /// The name of the table, topic or secret, for errors.
    resource: Option<String>,
}

impl fmt::Debug for AwsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsService").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl AwsService {
    /// `name` is the first label of the service's host names: `dynamodb`, `sns`, `sqs`, `lambda`.
    /// Errors: `Config` without a region.
    pub(crate) fn new(state: Arc<State>, name: &'static str, region: Option<&str>) -> Result<Self> {
        let region = region.map_or_else(|| state.config.region(), |region| check_region("the region", region))?;
        let endpoint = state.config.endpoint(name, &region);
        Ok(Self { state, name, region, endpoint, resource: None })
    }

    /// The service in a resource's region and at its endpoint. Errors: `Config` without a region.
    pub(crate) fn at(state: Arc<State>, name: &'static str, placed: &Placed) -> Result<Self> {
        let service = Self::new(state, name, placed.region.as_deref())?;
        Ok(service.with_endpoint(placed.endpoint.clone()).with_resource(&placed.name))
    }

    /// Replaces the endpoint by that of a URL, if the URL has one.
    pub(crate) fn with_endpoint(self, endpoint: Option<String>) -> Self {
        Self { endpoint: endpoint.unwrap_or(self.endpoint), ..self }
    }

    /// The same service with the name of a resource for errors.
    pub(crate) fn with_resource(&self, name: &str) -> Self {
        Self { resource: Some(name.to_owned()), ..self.clone() }
    }

    /// The first label of the service's host names, which is also its name in permissions.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The start of the service's URLs.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a call and returns its successful response. The URI of `request` is a path and a query, such as
    /// `/2015-03-31/functions?MaxItems=10`; a `+` in the query means a space.
    ///
    /// Errors: by the service's error code; with `outcome_unknown` for a write that may have happened.
    pub async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>> {
        let (mut parts, body) = request.into_parts();
        if !parts.headers.values().all(|value| value.to_str().is_ok()) {
            return Err(Error::invalid_input("the value of a header is not ASCII and cannot be signed: encode it"));
        }
        let mut url = self.url(parts.uri.path())?;
        // Only S3 has names with empty parts. All other services sign a normalized path, which `sign` does not do.
        if self.name != "s3" && url.path().contains("//") {
            return Err(Error::invalid_input("the path of the request contains `//`, which only S3 supports"));
        }
        url.set_query(parts.uri.query().map(canonical).as_deref());
        let wrong = |_| Error::invalid_input("the path of the request is malformed");
        parts.uri = url.as_str().parse().map_err(wrong)?;
        Ok(self.exchange(operation, safety, Request::from_parts(parts, body)).await??)
    }

    /// Calls an operation of a service of the protocol AWS JSON.
    /// The inner result is the service's: the body or the service error.
    pub(crate) async fn json(
        &self,
        api: JsonApi,
        operation: &'static str,
        safety: Safety,
        input: &(impl Serialize + Sync),
    ) -> Result<ServiceResult<Bytes>> {
        let body = serde_json::to_vec(input)?;
        let request = Request::post(self.url("/")?.as_str())
            .header(CONTENT_TYPE, format!("application/x-amz-json-{}", api.version))
            .header("x-amz-target", format!("{}.{operation}", api.target))
            .body(Bytes::from(body));
        self.send(operation, safety, request).await
    }

    /// Calls an operation of a service of the protocol AWS Query, whose responses are XML (SNS).
    pub(crate) async fn query(
        &self,
        operation: &'static str,
        safety: Safety,
        form: String,
    ) -> Result<ServiceResult<Bytes>> {
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
    ) -> Result<ServiceResult<Bytes>> {
        let wrong = |error| {
            Error::internal("bug in isobar: a request to AWS is malformed; please report it").with_source(error)
        };
        let answer = self.exchange(operation, safety, request.map_err(wrong)?).await?;
        Ok(answer.map(Response::into_body))
    }

    fn url(&self, path: &str) -> Result<Url> {
        let wrong = |error| Error::config(format!("the endpoint `{}` is not a URL", self.endpoint)).with_source(error);
        Url::parse(&format!("{}{path}", self.endpoint)).map_err(wrong)
    }

    async fn exchange(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<Bytes>,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        let read = |answer: &Response<Bytes>| service_error::read(answer, &self.place());
        let signed = Signed::new(&self.state, signing_name(self.name), &self.region, &read);
        signed.call(operation, safety, request.map(PutPayload::from)).await
    }

    /// The same service error with the code and message of one entry of its response.
    pub(crate) fn error_of_entry(&self, service_error: &ServiceError, code: String, message: &str) -> ServiceError {
        let uncertain = service_error.uncertain;
        ServiceError { uncertain, ..service_error::of_code(&service_error.response, code, message, &self.place()) }
    }

    /// The service and the resource, for error messages.
    fn place(&self) -> String {
        let resource = self.resource.as_ref().map(|name| format!("`{name}` of ")).unwrap_or_default();
        format!("{resource}{} in {} ({})", self.name, self.region, self.endpoint)
    }
}

/// Reads a response. Errors: `Internal` without its source, since the text of serde quotes the value.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(service: &str, body: &'a Bytes) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::internal(format!("{service} returned unexpected JSON at line {line} column {column}"))
    })
}

/// A query in its canonical form, so that the same text is signed and sent.
///
/// Source: "Create a signed AWS API request", IAM User Guide.
fn canonical(query: &str) -> String {
    let encode = |text: &str| encode(percent_decode_str(&text.replace('+', " ")).collect::<Vec<_>>());
    let canonical_pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) => format!("{}={}", encode(name), encode(value)),
        None => encode(pair),
    };
    query.split('&').filter(|it| !it.is_empty()).map(canonical_pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests;
