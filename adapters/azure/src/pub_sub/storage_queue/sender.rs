//! Sending to a Storage Queue.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/put-message>

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Answer, Call, Judgement, Safety, Service};
use object_store::PutPayload;
use parking_lot::Mutex;

use super::sign;
use crate::State;
use crate::config::{Access, StorageAccount};
use crate::credentials::Audience;
use crate::pub_sub::refusal::Refusal;

/// The version of the service that requests are written for; with it a message may live for ever.
const VERSION: &str = "2021-12-02";

/// The longest time for which a message may be put off.
const LONGEST: u64 = 7 * 24 * 3_600;

/// Sends to the queues of a storage account.
pub(crate) struct Sender<'a> {
    state: &'a State,
    account: &'a StorageAccount,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(state: &'a State, account: &'a StorageAccount) -> Self {
        Self { state, account }
    }

    /// Sends a message that never expires, and that nobody sees before `after` has passed, or seven days.
    ///
    /// Idempotent: a repeat may arrive twice, under one id, which delivery at least once allows.
    /// Errors: by what the service says; `outcome_unknown` where it may have been stored.
    pub(crate) async fn send(&self, queue: &str, text: &str, after: Option<Duration>) -> Result<()> {
        let call = OneCall { sender: self, queue, used: Mutex::default() };
        let body = Bytes::from(format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>"));
        let uri = self.uri(queue, after);
        let first = call.make(&uri, body.clone()).await?;
        let answer = match Refusal::read(&first.response).is_unauthenticated() && call.renew() {
            false => first,
            true => {
                let earlier = first.uncertain;
                let unknown = |error: Error| if earlier { error.with_outcome_unknown() } else { error };
                let again = call.make(&uri, body).await.map_err(unknown)?;
                Answer { uncertain: again.uncertain || earlier, ..again }
            }
        };
        if answer.response.status().is_success() {
            return Ok(());
        }
        let refusal = Refusal::read(&answer.response).uncertain(answer.uncertain);
        Err(refusal.explain(&format!("the queue `{queue}` of the storage account `{}`", self.account.name)))
    }

    fn uri(&self, queue: &str, after: Option<Duration>) -> String {
        let mut uri = format!("{}/{queue}/messages?messagettl=-1", self.account.queue);
        if let Some(after) = after {
            let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).min(LONGEST);
            uri.push_str(&format!("&visibilitytimeout={seconds}"));
        }
        if let Access::Sas(sas) = &self.account.access {
            uri.push('&');
            uri.push_str(&String::from_utf8_lossy(&sas.0));
        }
        uri
    }
}

struct OneCall<'a> {
    sender: &'a Sender<'a>,
    queue: &'a str,
    /// The token of an identity that the last attempt was made with.
    used: Mutex<Option<Arc<str>>>,
}

impl OneCall<'_> {
    async fn make(&self, uri: &str, body: Bytes) -> Result<Answer> {
        // Without its source, which could show a signature of the URI.
        let wrong = |_| Error::config(format!("the URL of the queue `{}` is malformed: check the SAS", self.queue));
        let request = Request::post(uri)
            .header(CONTENT_TYPE, "application/xml")
            .header("x-ms-version", VERSION)
            .body(PutPayload::from(body))
            .map_err(wrong)?;
        let call = Call { operation: "PutMessage", request, safety: Safety::Idempotent, service: self };
        self.sender.state.client.call(call).await
    }

    /// Is there another token to be had?
    fn renew(&self) -> bool {
        let used = self.used.lock().take();
        let Some(token) = used else { return false };
        self.sender.state.credentials.reject(Audience::Storage, &token);
        true
    }
}

#[async_trait]
impl Service for OneCall<'_> {
    async fn authorize(&self, request: &mut Parts, body: &PutPayload) -> Result<()> {
        let Sender { state, account } = self.sender;
        // Storage goes by the machine's time, whatever clock the app has.
        let date = sign::date(SystemTime::now());
        insert(request, HeaderName::from_static("x-ms-date"), &date)?;
        match &account.access {
            Access::Key(key) => {
                let signature = sign::shared_key(request, body.content_length(), &account.name, key);
                insert(request, AUTHORIZATION, &signature)
            }
            Access::Sas(_) => Ok(()),
            Access::Identity => {
                let token = state.credentials.token(Audience::Storage).await?;
                insert(request, AUTHORIZATION, &format!("Bearer {token}"))?;
                *self.used.lock() = Some(token);
                Ok(())
            }
        }
    }

    fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        if answer.status().is_success() { Judgement::Final } else { Refusal::read(answer).judge() }
    }
}

fn insert(request: &mut Parts, name: HeaderName, value: &str) -> Result<()> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Error::config("the storage token is no header value"))?;
    value.set_sensitive(name == AUTHORIZATION);
    request.headers.insert(name, value);
    Ok(())
}
