//! The operations of S3 on objects.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::response::Parts;
use http::{Method, Request, Response};
use isobar_abstraction::driver::blob::{ListRequest, SignRequest, SignedAccess, SignedUrl};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{
    self, ObjectHead, ObjectRequests, Page, PartUpload, check_expected_version, encode_query, header_text, put_result,
};
use isobar_rest::{Client, Safety, ServiceError, StreamBody};
use object_store::path::Path;
use object_store::{Attribute, GetOptions, MultipartUpload, PutMode, PutOptions, PutPayload, PutResult, TagSet};
use serde::Deserialize;
use url::Url;

use super::headers::{self, HEADERS};
use super::listing;
use super::requests::S3Requests;
use super::service_error;
use super::upload::{S3Upload, copied_part};
use crate::service::sign::Signer;

/// The largest object to copy in one request: 512 MiB. S3 accepts 5 GiB, but it ends its response only when the copy
/// is done, which takes longer than the client's `attempt_timeout` of 20 s. Larger objects are copied in parts by
/// short requests.
const LARGEST_COPY: u64 = 512 << 20;

/// The number of an object's tags. S3 sends it only if there are tags and the caller may read them.
const TAGS: &str = "x-amz-tagging-count";

#[async_trait]
impl ObjectRequests for S3Requests {
    const SERVICE: &'static str = "S3";
    const PAGE: usize = listing::LARGEST_PAGE;

    fn client(&self) -> &Client {
        &self.state.client
    }

    fn place(&self) -> String {
        format!("s3://{}", self.bucket)
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>> {
        let request = object::add_get_options(self.request(Method::HEAD, at, options.version.as_deref()), options);
        let request = self.ready(request, PutPayload::new())?;
        let answer = self.signed(&service_error::read).call("HeadObject", Safety::Read, request).await?;
        answer.map_err(|service_error| self.read_error(at, &service_error))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>> {
        let request = object::add_get_options(self.request(Method::GET, at, options.version.as_deref()), options);
        let request = self.ready(request, PutPayload::new())?;
        let answer = self.signed(&service_error::read).open("GetObject", request).await?;
        answer.map_err(|service_error| self.read_error(at, &service_error))
    }

    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead> {
        let mut head = ObjectHead::read(Self::SERVICE, at, answer, HEADERS.metadata)?;
        head.meta.version = headers::version(&answer.headers);
        if let Some(class) = header_text(&answer.headers, HEADERS.class) {
            head.attributes.insert(Attribute::StorageClass, class.to_owned().into());
        }
        Ok(head)
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
    async fn put(&self, at: &Path, content: PutPayload, options: &PutOptions) -> Result<PutResult> {
        check_expected_version(Self::SERVICE, &options.mode)?;
        let request = HEADERS.describe(self.request(Method::PUT, at, None), &options.attributes, &options.tags)?;
        let answer = self.send("PutObject", request, content, &options.mode).await?;
        put_result(Self::SERVICE, answer.headers(), headers::version(answer.headers()))
    }

    async fn begin(self: Arc<Self>, at: &Path, options: PutOptions) -> Result<Box<dyn MultipartUpload>> {
        check_expected_version(Self::SERVICE, &options.mode)?;
        Ok(Box::new(PartUpload::new(S3Upload::begin(self, at, &options).await?)))
    }

    async fn copy(self: Arc<Self>, from: &Path, to: &Path, mode: PutMode) -> Result<()> {
        let (answer, _) = self.head(from, &GetOptions::default()).await.map_err(Error::from)?.into_parts();
        let head = self.describe(from, &answer)?;
        let largest = self.state.config.largest_copy.unwrap_or(LARGEST_COPY);
        if head.meta.size <= largest {
            return self.copy_whole(from, to, &mode).await;
        }
        // An object without tags can be copied without the permission to read tags.
        let tagged = answer.headers.contains_key(TAGS);
        let tags = if tagged { self.tags(from).await? } else { TagSet::default() };
        let mut attributes = object::with_content_type(head.attributes);
        // `CopyObject` copies the tags but not the class either.
        attributes.remove(&Attribute::StorageClass);
        let options = PutOptions { mode, attributes, tags, ..PutOptions::default() };
        let upload = S3Upload::begin(self, to, &options).await?;
        upload.copy_all(&head.meta, copied_part(head.meta.size, largest)).await
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>
    async fn delete(&self, at: &Path) -> Result<()> {
        let request = self.request(Method::DELETE, at, None);
        self.send("DeleteObject", request, PutPayload::new(), &PutMode::Overwrite).await.map(drop)
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    async fn page(&self, request: &ListRequest, token: Option<&str>) -> Result<Page> {
        let mut url = format!("{}?{}", self.base, listing::query(request));
        if let Some(token) = token {
            url = format!("{url}&{}", encode_query(&[("continuation-token", token)]));
        }
        listing::read(request, self.read("ListObjectsV2", Request::get(url)).await?.body())
    }

    /// Signs only the host, so that the client may send any content type.
    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        let at = Path::parse(&request.stored).map_err(object_store::Error::from)?;
        let method = match request.access {
            SignedAccess::Get => Method::GET,
            SignedAccess::Put => Method::PUT,
            _ => return Err(Error::unknown_variant("SignedAccess")),
        };
        let credential = self.state.credentials.get().await?;
        let signed = self.ready(self.request(method, &at, None), PutPayload::new())?;
        let signer = Signer::new(&credential, "s3", &self.region, SystemTime::now());
        let query = signer.presign(&mut signed.into_parts().0, request.expires_in)?;
        let wrong =
            |error| Error::config("the endpoint of S3 is not a URL: check AWS_ENDPOINT_URL_S3").with_source(error);
        Ok(SignedUrl::new(Url::parse(&format!("{}?{query}", self.url(&at))).map_err(wrong)?))
    }
}

impl S3Requests {
    fn read_error(&self, at: &Path, service_error: &ServiceError) -> object_store::Error {
        object::read_error(at, service_error, self.error(service_error, &PutMode::Overwrite))
    }

    /// Copies an object of at most 5 GiB; the response ends when the copy is done.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
    async fn copy_whole(&self, from: &Path, to: &Path, mode: &PutMode) -> Result<()> {
        let request = self.request(Method::PUT, to, None).header("x-amz-copy-source", self.source(from));
        self.send("CopyObject", request, PutPayload::new(), mode).await.map(drop)
    }

    /// The tags of an object. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html>
    async fn tags(&self, at: &Path) -> Result<TagSet> {
        let answer = self.read("GetObjectTagging", Request::get(format!("{}?tagging=", self.url(at)))).await?;
        let wrong =
            |error| Error::internal("S3 returned something else than tags: check the endpoint").with_source(error);
        let tagging: Tagging = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        let mut tags = TagSet::default();
        tagging.tag_set.tag.iter().for_each(|tag| tags.push(&tag.key, &tag.value));
        Ok(tags)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tagging {
    tag_set: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tag: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}
