//! Calls that are signed, each attempt anew, and made once more where the credentials have expired.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Answer, Call, Judgement, Opened, Safety, Service};
use object_store::PutPayload;
use parking_lot::Mutex;

use super::sign::Signer;
use crate::State;
use crate::credentials::Credential;

/// One service in one region, for one call.
pub(crate) struct Signed<'a> {
    state: &'a State,
    name: &'a str,
    region: &'a str,
    meaning: Meaning,
    /// What the last attempt was signed with.
    used: Mutex<Option<Arc<Credential>>>,
}

/// What a service's answers mean.
#[derive(Clone, Copy)]
pub(crate) struct Meaning {
    pub(crate) judge: fn(&Response<Bytes>) -> Judgement,
    /// Does it say that the credentials were good once?
    pub(crate) expired: fn(&Response<Bytes>) -> bool,
}

impl<'a> Signed<'a> {
    /// `name` is the service's in signatures.
    pub(crate) fn new(state: &'a State, name: &'a str, region: &'a str, meaning: Meaning) -> Self {
        Self { state, name, region, meaning, used: Mutex::default() }
    }

    /// Makes a call; see [`isobar_rest::Client::call`].
    pub(crate) async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<PutPayload>,
    ) -> Result<Answer> {
        let call = |request| self.state.client.call(Call { operation, request, safety, service: self });
        let answer = call(request.clone()).await?;
        if !self.renew(&answer.response) {
            return Ok(answer);
        }
        let earlier = answer.uncertain;
        let again = call(request).await.map_err(|error| unknown(error, earlier))?;
        Ok(Answer { uncertain: again.uncertain | earlier, ..again })
    }

    /// Makes a call that only reads; see [`isobar_rest::Client::open`].
    pub(crate) async fn open(&self, operation: &'static str, request: Request<PutPayload>) -> Result<Opened> {
        let open = |request| self.state.client.open(Call { operation, request, safety: Safety::Read, service: self });
        match open(request.clone()).await? {
            Opened::Refused(answer) if self.renew(&answer.response) => open(request).await,
            opened => Ok(opened),
        }
    }

    /// Has the answer made room for other credentials?
    fn renew(&self, answer: &Response<Bytes>) -> bool {
        (self.meaning.expired)(answer)
            && self.used.lock().as_ref().is_some_and(|used| self.state.credentials.reject(used))
    }
}

pub(crate) fn unknown(error: Error, uncertain: bool) -> Error {
    if uncertain { error.with_outcome_unknown() } else { error }
}

#[async_trait]
impl Service for Signed<'_> {
    async fn authorize(&self, request: &mut Parts, body: &PutPayload) -> Result<()> {
        let credential = self.state.credentials.get().await?;
        // The services go by the machine's time, whatever clock the app has.
        Signer::new(&credential, self.name, self.region, SystemTime::now()).sign(request, body)?;
        *self.used.lock() = Some(credential);
        Ok(())
    }

    fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        (self.meaning.judge)(answer)
    }
}
