//! Operations on objects of Cloud Storage.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http::{Method, Request, Response, StatusCode};
use isobar_abstraction::driver::blob::{ListRequest, SignRequest, SignedUrl};
use isobar_abstraction::{Error, Result};
use isobar_rest::attempt::unique_id;
use isobar_rest::object::{ObjectHead, ObjectRequests, Page, encode, encode_query};
use isobar_rest::{Client, Safety, ServiceResult, StreamBody};
use object_store::path::Path;
use object_store::{GetOptions, MultipartUpload, PutMode, PutOptions, PutPayload, PutResult};
use serde::Deserialize;

use super::condition::{generation, generation_match};
use super::requests::GcsRequests;
use super::resource::{Description, Resource, WRITE};
use super::service_error::{self, Missing};
use super::session::Session;
use super::upload::GcsUpload;
use super::{headers, listing, sign};

#[async_trait]
impl ObjectRequests for GcsRequests {
    const SERVICE: &'static str = "Cloud Storage";
    const PAGE: usize = listing::LARGEST_PAGE;
    const METADATA_NAMES: &'static [u8] = b"-_";

    fn client(&self) -> &Client {
        &self.state().client
    }

    fn place(&self) -> String {
        format!("gs://{}", self.bucket)
    }

    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>> {
        let answer = self.head_request(at, version(options)?).await?;
        let (parts, body) = answer.into_parts();
        options.check_preconditions(&self.describe(at, &parts)?.meta)?;
        Ok(Response::from_parts(parts, body))
    }

    /// <https://cloud.google.com/storage/docs/xml-api/get-object-download>
    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>> {
        let required_generation = self.required_generation(at, options).await?;
        let request = self.request(Method::GET, at, version(options)?);
        let request = headers::with_read_headers(request, options.range.as_ref(), required_generation);
        let answer = self.service.open("GetObject", self.ready(request, PutPayload::new())?).await?;
        let answer = answer.map_err(|service_error| self.error(&PutMode::Overwrite, &service_error))?;
        // Some emulators ignore the condition.
        if required_generation.is_some() && headers::generation(answer.headers()) != required_generation {
            return Err(Error::conflict("the object has another version than the required one").into());
        }
        Ok(answer)
    }

    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead> {
        headers::check_encoding(&answer.headers)?;
        let mut head = ObjectHead::read(Self::SERVICE, at, answer, headers::METADATA)?;
        let missing = || Error::internal("Cloud Storage responded without the object's generation");
        // The ETag of an object that was not composed is a hash of its content, which is equal for equal content.
        head.meta.e_tag = Some(headers::generation(&answer.headers).ok_or_else(missing)?.to_string());
        headers::complete(&mut head.attributes, &answer.headers);
        Ok(head)
    }

    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/insert>
    ///
    /// A conditional write puts a random id into the object's metadata. If its response is lost and its repetition
    /// fails with 412, the id shows whether the object is its own.
    async fn put(&self, at: &Path, content: PutPayload, options: &PutOptions) -> Result<PutResult> {
        let PutOptions { mode, attributes, tags, .. } = options;
        let (mut description, id) = (Description::of(attributes, tags)?, unique_id()?);
        if *mode != PutMode::Overwrite {
            description.metadata.insert(WRITE.to_owned(), id.clone());
        }
        let request = Request::post(self.upload_url("multipart", at, mode)?)
            .header(CONTENT_TYPE, format!("multipart/related; boundary={id}"));
        let body = related(&id, &description, &content)?;
        match self.call("objects.insert", Safety::Idempotent, request, body).await? {
            Ok(answer) => Resource::read(answer.body()).map_err(Error::with_outcome_unknown)?.written(),
            Err(service_error) => {
                let own = match service_error.uncertain && service_error.status() == StatusCode::PRECONDITION_FAILED {
                    true => self.own_write(at, &id).await,
                    false => None,
                };
                own.ok_or_else(|| self.error_of_write(mode, &service_error))
            }
        }
    }

    async fn begin(self: Arc<Self>, at: &Path, options: PutOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(GcsUpload::new(Session::begin(self, at, options).await?)))
    }

    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite>
    async fn copy(self: Arc<Self>, from: &Path, to: &Path, mode: PutMode) -> Result<()> {
        let url = format!("{}/rewriteTo/b/{}/o/{}", self.url(from), self.bucket, encode(to.as_ref()));
        let generation = generation_match(&mode)?.map(|generation| generation.to_string());
        let mut token = String::new();
        loop {
            let mut pairs = vec![("fields", "done,rewriteToken")];
            pairs.extend(generation.as_deref().map(|generation| ("ifGenerationMatch", generation)));
            pairs.extend((!token.is_empty()).then_some(("rewriteToken", token.as_str())));
            let request = Request::post(format!("{url}?{}", encode_query(&pairs))).header(CONTENT_LENGTH, 0);
            let answer = self.call("objects.rewrite", Safety::Idempotent, request, PutPayload::new()).await?;
            let answer = answer.map_err(|service_error| self.error(&mode, &service_error))?;
            let wrong = || {
                Error::internal("Cloud Storage's response to a copy has no `done` or no `rewriteToken`")
                    .with_outcome_unknown()
            };
            let copied: RewriteResponse = serde_json::from_slice(answer.body()).map_err(|_| wrong())?;
            if copied.done {
                return Ok(());
            }
            token = Some(copied.rewrite_token).filter(|token| !token.is_empty()).ok_or_else(wrong)?;
        }
    }

    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/delete>
    async fn delete(&self, at: &Path) -> Result<()> {
        let request = Request::delete(self.url(at));
        let answer = self.call("objects.delete", Safety::Idempotent, request, PutPayload::new()).await?;
        let Err(service_error) = answer else { return Ok(()) };
        match Missing::of(&service_error) {
            Some(Missing::Object) => Ok(()),
            Some(Missing::Either) => self.exists().await,
            Some(Missing::Bucket) | None => Err(self.error(&PutMode::Overwrite, &service_error)),
        }
    }

    async fn page(&self, request: &ListRequest, token: Option<&str>) -> Result<Page> {
        let answer = self.names(&listing::query(request, token.unwrap_or_default())).await?;
        let answer = answer.map_err(|service_error| self.error_of_write(&PutMode::Overwrite, &service_error))?;
        listing::read(request, answer.body())
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        sign::sign(self, request).await
    }
}

impl GcsRequests {
    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/list>
    async fn names(&self, query: &str) -> Result<ServiceResult<Response<Bytes>>> {
        let request = Request::get(format!("{}?{query}", self.objects_url()));
        self.call("objects.list", Safety::Read, request, PutPayload::new()).await
    }

    /// Checks whether the bucket exists. If the caller may not list it, it is assumed to exist.
    async fn exists(&self) -> Result<()> {
        match self.names("fields=kind&maxResults=1").await? {
            Err(service_error) if Missing::of(&service_error).is_some() => {
                Err(service_error::no_bucket(&self.bucket).error(&PutMode::Overwrite))
            }
            _ => Ok(()),
        }
    }

    /// The head of an object. <https://cloud.google.com/storage/docs/xml-api/head-object>
    async fn head_request(&self, at: &Path, generation: Option<i64>) -> Result<Response<Bytes>> {
        let request = headers::with_read_headers(self.request(Method::HEAD, at, generation), None, None);
        let answer = self.call("HeadObject", Safety::Read, request, PutPayload::new()).await?;
        answer.map_err(|service_error| self.error(&PutMode::Overwrite, &service_error))
    }

    /// The object at `at` if the write with this id created it.
    async fn own_write(&self, at: &Path, id: &str) -> Option<PutResult> {
        let answer = self.head_request(at, None).await.ok()?;
        let generation = headers::generation(answer.headers())?;
        let result = PutResult { e_tag: Some(generation.to_string()), version: None, extensions: Default::default() };
        (headers::write_id(answer.headers()) == Some(id)).then_some(result)
    }

    /// The generation that a read requires, if it requires one.
    ///
    /// A request has only one condition, the generation. Other conditions are evaluated on the object's head: those
    /// that require an unchanged object then require its generation; those that require a change also hold for a later
    /// write.
    async fn required_generation(&self, at: &Path, options: &GetOptions) -> object_store::Result<Option<i64>> {
        let others = options.if_none_match.is_some()
            || options.if_modified_since.is_some()
            || options.if_unmodified_since.is_some();
        match options.if_match.as_deref() {
            None | Some("*") if !others => return Ok(None),
            Some(e_tag) if !others && generation(e_tag).is_some() => return Ok(generation(e_tag)),
            _ => {}
        }
        let found = headers::generation(self.head(at, options).await?.headers());
        let same = options.if_match.is_some() || options.if_unmodified_since.is_some();
        Ok(found.filter(|_| same))
    }
}

/// The requested generation. Errors: `NotFound`, for text that is no generation.
fn version(options: &GetOptions) -> Result<Option<i64>> {
    let none = || Error::not_found("the version is not one of Cloud Storage's, so no object has it");
    options.version.as_deref().map(|text| generation(text).ok_or_else(none)).transpose()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RewriteResponse {
    done: bool,
    rewrite_token: String,
}

/// A multipart body of an object's description and its content. The content is not copied.
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
