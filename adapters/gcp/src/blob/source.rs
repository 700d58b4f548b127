//! How Cloud Storage is asked for an object, and what it answers.

use async_trait::async_trait;
use bytes::Bytes;
use http::response::Parts;
use http::{Method, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{ObjectHead, ObjectSource};
use isobar_rest::{Client, StreamBody};
use object_store::GetOptions;
use object_store::path::Path;

use super::condition::generation;
use super::headers;
use super::requests::GcsRequests;

#[async_trait]
impl ObjectSource for GcsRequests {
    const SERVICE: &'static str = "Cloud Storage";

    fn client(&self) -> &Client {
        &self.state().client
    }

    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>> {
        let answer = self.known(at, version(options)?).await?;
        let (parts, body) = answer.into_parts();
        options.check_preconditions(&self.describe(at, &parts)?.meta)?;
        Ok(Response::from_parts(parts, body))
    }

    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>> {
        let wanted = self.wanted(at, options).await?;
        let request = self.request(Method::GET, at, version(options)?);
        let answer = self.content(headers::ask(request, options.range.as_ref(), wanted)).await?;
        // Not every emulator has heard of the condition.
        if wanted.is_some() && headers::generation(answer.headers()) != wanted {
            return Err(Error::conflict("the object is not in the version that was expected").into());
        }
        Ok(answer)
    }

    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead> {
        headers::check_encoding(&answer.headers)?;
        let mut head = ObjectHead::read(Self::SERVICE, at, answer, headers::METADATA)?;
        let silent = || Error::internal("Cloud Storage answered without the object's generation");
        // The ETag of an object in one piece is a hash, which writes of equal content share.
        head.meta.e_tag = Some(headers::generation(&answer.headers).ok_or_else(silent)?.to_string());
        headers::complete(&mut head.attributes, &answer.headers);
        Ok(head)
    }
}

impl GcsRequests {
    /// The generation that a read must find, if it is to find one.
    ///
    /// The request has one condition, of the generation; the others are held against what is known of the
    /// object. Where they ask for a change, any later write is one.
    async fn wanted(&self, at: &Path, options: &GetOptions) -> object_store::Result<Option<i64>> {
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

/// The generation that is asked for. Errors: `NotFound`, for what is none.
fn version(options: &GetOptions) -> Result<Option<i64>> {
    let none = || Error::not_found("this is the version of no object in Cloud Storage");
    options.version.as_deref().map(|text| generation(text).ok_or_else(none)).transpose()
}
