//! The requests to one bucket.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::request::Builder;
use http::{Method, Request, Response, StatusCode, Uri};
use isobar_abstraction::blob::{ListRequest, Listing};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::text;
use isobar_rest::{Answered, Refusal, Safety, StreamBody};
use object_store::path::Path;
use object_store::{CopyMode, PutPayload, PutResult};
use serde::Deserialize;

use super::condition::{Wanted, unique};
use super::headers;
use super::listing::{self, Read};
use super::refusal::{self, Missing};
use super::resource::{Description, Resource, WRITE};
use super::{encoded, session::Session};
use crate::State;
use crate::config::Endpoint;
use crate::service::GoogleService;

/// One bucket, as it is asked.
#[derive(Debug, Clone)]
pub(super) struct GcsRequests {
    service: GoogleService,
    bucket: String,
}

/// What of an object tells its version.
const VERSION: (&str, &str) = ("fields", "generation,size");

impl GcsRequests {
    pub(super) fn new(state: &Arc<State>, endpoint: Endpoint, bucket: String) -> Self {
        let resource = format!("the bucket `{bucket}` of Cloud Storage");
        Self { service: GoogleService::new(Arc::clone(state), endpoint, resource), bucket }
    }

    pub(super) fn state(&self) -> &Arc<State> {
        self.service.state()
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Of an object, in the JSON API.
    fn url(&self, at: &Path) -> String {
        self.service.url(&format!("/storage/v1/b/{}/o/{}", self.bucket, encoded::part(at.as_ref())))
    }

    /// Of an object's content, as the XML API and signed URLs have it.
    pub(super) fn content_url(&self, at: &Path) -> String {
        self.service.url(&format!("/{}/{}", self.bucket, encoded::path(at.as_ref())))
    }

    fn upload_url(&self, kind: &str, at: &Path, wanted: Wanted) -> String {
        let generation = wanted.generation();
        let mut pairs = vec![("uploadType", kind), ("name", at.as_ref()), VERSION];
        pairs.extend(generation.as_deref().map(|generation| ("ifGenerationMatch", generation)));
        self.service.url(&format!("/upload/storage/v1/b/{}/o?{}", self.bucket, encoded::query(&pairs)))
    }

    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/list>
    pub(super) async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let mut token = String::new();
        loop {
            let answer = self.page(&listing::query(request, &token)).await?;
            let answer = answer.map_err(|refusal| refusal::error_of_write(&self.bucket, Wanted::Anything, refusal))?;
            match listing::read(request, answer.body())? {
                Read::Page(listing) => return Ok(listing),
                Read::Empty(next) if next == token => {
                    return Err(Error::internal("Cloud Storage answers the same empty page for ever"));
                }
                Read::Empty(next) => token = next,
            }
        }
    }

    async fn page(&self, query: &str) -> Result<Answered<Response<Bytes>>> {
        let url = self.service.url(&format!("/storage/v1/b/{}/o?{query}", self.bucket));
        self.call("objects.list", Safety::Read, Request::get(url), PutPayload::new()).await
    }

    /// A request for an object, of one generation where one is asked for.
    pub(super) fn request(&self, method: Method, at: &Path, generation: Option<i64>) -> Builder {
        let generation = generation.map(|generation| format!("?generation={generation}")).unwrap_or_default();
        Request::builder().method(method).uri(format!("{}{generation}", self.content_url(at)))
    }

    /// What is known of an object. <https://cloud.google.com/storage/docs/xml-api/head-object>
    pub(super) async fn known(&self, at: &Path, generation: Option<i64>) -> Result<Response<Bytes>> {
        let request = headers::ask(self.request(Method::HEAD, at, generation), None, None);
        let answer = self.call("HeadObject", Safety::Read, request, PutPayload::new()).await?;
        answer.map_err(|refusal| self.error(Wanted::Anything, refusal))
    }

    /// An object's content as it comes. <https://cloud.google.com/storage/docs/xml-api/get-object-download>
    pub(super) async fn content(&self, request: Builder) -> Result<Response<StreamBody>> {
        let answer = self.service.open("GetObject", self.ready(request, PutPayload::new())?).await?;
        answer.map_err(|refusal| self.error(Wanted::Anything, refusal))
    }

    /// Writes an object whole. <https://cloud.google.com/storage/docs/json_api/v1/objects/insert>
    ///
    /// Errors: `AlreadyExists` and `Conflict` by what is wanted. A write whose answer was lost, and which
    /// then meets itself, is found by the number that it left in the object's metadata.
    pub(super) async fn put(
        &self,
        at: &Path,
        mut description: Description,
        content: PutPayload,
        wanted: Wanted,
    ) -> Result<PutResult> {
        let number = unique()?;
        if wanted != Wanted::Anything {
            description.metadata.insert(WRITE.to_owned(), number.clone());
        }
        let request = Request::post(self.upload_url("multipart", at, wanted))
            .header(CONTENT_TYPE, format!("multipart/related; boundary={number}"));
        let body = related(&number, &description, &content)?;
        match self.call("objects.insert", Safety::Idempotent, request, body).await? {
            Ok(answer) => Resource::read(answer.body()).map_err(Error::with_outcome_unknown)?.written(),
            Err(refusal) => {
                let own = match refusal.uncertain && refusal.status() == StatusCode::PRECONDITION_FAILED {
                    true => self.own(at, &number).await,
                    false => None,
                };
                own.ok_or_else(|| refusal::error_of_write(&self.bucket, wanted, refusal))
            }
        }
    }

    /// The object, if it is the one that the write of this number made.
    async fn own(&self, at: &Path, number: &str) -> Option<PutResult> {
        let answer = self.known(at, None).await.ok()?;
        let generation = headers::generation(answer.headers())?;
        let result = PutResult { e_tag: Some(generation.to_string()), version: None, extensions: Default::default() };
        (headers::write(answer.headers()) == Some(number)).then_some(result)
    }

    /// Begins an upload. Begun twice, one is left over, which nobody sees and which ends after a week.
    /// <https://cloud.google.com/storage/docs/performing-resumable-uploads#initiate-session>
    pub(super) async fn begin(&self, at: &Path, description: &Description, wanted: Wanted) -> Result<Session> {
        let request = Request::post(self.upload_url("resumable", at, wanted))
            .header(CONTENT_TYPE, "application/json; charset=UTF-8")
            .header("x-upload-content-type", &description.content_type);
        let body = PutPayload::from(serde_json::to_vec(description)?);
        let answer = self.call("objects.insert", Safety::Idempotent, request, body).await?;
        let answer = answer.map_err(|refusal| refusal::error_of_write(&self.bucket, wanted, refusal))?;
        let nowhere = || Error::internal("Cloud Storage began an upload without its place");
        let place = text(answer.headers(), LOCATION).and_then(|place| place.parse::<Uri>().ok());
        let place = place.as_ref().and_then(Uri::path_and_query).ok_or_else(nowhere)?.to_string();
        Ok(Session::new(self.clone(), format!("{}{place}", self.origin()?), wanted))
    }

    /// Where requests go: what an answer names as another host gets no token.
    fn origin(&self) -> Result<String> {
        let wrong = || Error::config(format!("`{}` is not an endpoint", self.service.url("")));
        let uri: Uri = self.service.url("").parse().map_err(|_| wrong())?;
        let (scheme, authority) = (uri.scheme_str().ok_or_else(wrong)?, uri.authority().ok_or_else(wrong)?);
        Ok(format!("{scheme}://{authority}"))
    }

    /// An absent object is `Ok`. <https://cloud.google.com/storage/docs/json_api/v1/objects/delete>
    pub(super) async fn delete(&self, at: &Path) -> Result<()> {
        let request = Request::delete(self.url(at));
        let answer = self.call("objects.delete", Safety::Idempotent, request, PutPayload::new()).await?;
        let Err(refusal) = answer else { return Ok(()) };
        match Missing::of(&refusal) {
            Some(Missing::Object) => Ok(()),
            Some(Missing::Either) => self.exists().await,
            Some(Missing::Bucket) | None => Err(self.error(Wanted::Anything, refusal)),
        }
    }

    /// Is the bucket there? Whoever may not list it is taken to know.
    async fn exists(&self) -> Result<()> {
        match self.page("fields=kind&maxResults=1").await? {
            Err(refusal) if Missing::of(&refusal).is_some() => Err(refusal::no_bucket(&self.bucket)),
            _ => Ok(()),
        }
    }

    /// Ends when the copy is whole. <https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite>
    pub(super) async fn copy(&self, from: &Path, to: &Path, mode: CopyMode) -> Result<()> {
        let wanted = match mode {
            CopyMode::Overwrite => Wanted::Anything,
            CopyMode::Create => Wanted::Nothing,
        };
        let place = format!("{}/rewriteTo/b/{}/o/{}", self.url(from), self.bucket, encoded::part(to.as_ref()));
        let generation = wanted.generation();
        let mut token = String::new();
        loop {
            let mut pairs = vec![("fields", "done,rewriteToken")];
            pairs.extend(generation.as_deref().map(|generation| ("ifGenerationMatch", generation)));
            pairs.extend((!token.is_empty()).then_some(("rewriteToken", token.as_str())));
            let request = Request::post(format!("{place}?{}", encoded::query(&pairs))).header(CONTENT_LENGTH, 0);
            let answer = self.call("objects.rewrite", Safety::Idempotent, request, PutPayload::new()).await?;
            let answer = answer.map_err(|refusal| self.error(wanted, refusal))?;
            let wrong = || Error::internal("Cloud Storage does not say how far a copy is").with_outcome_unknown();
            let copied: Rewritten = serde_json::from_slice(answer.body()).map_err(|_| wrong())?;
            if copied.done {
                return Ok(());
            }
            token = Some(copied.rewrite_token).filter(|token| !token.is_empty()).ok_or_else(wrong)?;
        }
    }

    pub(super) fn error(&self, wanted: Wanted, refusal: Refusal) -> Error {
        refusal::error(&self.bucket, wanted, refusal)
    }

    pub(super) async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Builder,
        body: PutPayload,
    ) -> Result<Answered<Response<Bytes>>> {
        self.service.call(operation, safety, self.ready(request, body)?).await
    }

    fn ready(&self, request: Builder, body: PutPayload) -> Result<Request<PutPayload>> {
        let wrong = |error| Error::config(format!("`{}` is not an endpoint", self.service.url(""))).with_source(error);
        request.body(body).map_err(wrong)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Rewritten {
    done: bool,
    rewrite_token: String,
}

/// What describes an object and its content in one body. The content is not copied.
/// <https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects>
fn related(boundary: &str, description: &Description, content: &PutPayload) -> Result<PutPayload> {
    let described = serde_json::to_string(description)?;
    let kind = &description.content_type;
    let head = format!(
        "--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{described}\r\n--{boundary}\r\n\
         content-type: {kind}\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let pieces = std::iter::once(Bytes::from(head)).chain(content.iter().cloned());
    Ok(pieces.chain(std::iter::once(Bytes::from(tail))).collect())
}
