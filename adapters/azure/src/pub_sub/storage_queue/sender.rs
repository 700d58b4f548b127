//! Sending to a Storage Queue.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/put-message>

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Judgement, Safety};
use object_store::PutPayload;

use crate::State;
use crate::config::StorageAccount;
use crate::credentials::storage::StorageCall;
use crate::pub_sub::refusal::Refusal;

/// Sends to the queues of a storage account.
pub(crate) struct Sender<'a> {
    state: &'a State,
    account: &'a StorageAccount,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(state: &'a State, account: &'a StorageAccount) -> Self {
        Self { state, account }
    }

    /// Sends a message that never expires, and that nobody sees before `after` has passed. The service takes up to
    /// seven days, and the profile lets no message wait as long.
    ///
    /// Idempotent: a repeat may arrive twice, under one id, which delivery at least once allows.
    /// Errors: by what the service says; `outcome_unknown` where it may have been stored.
    pub(crate) async fn send(&self, queue: &str, text: &str, after: Option<Duration>) -> Result<()> {
        let Self { state, account } = self;
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        let request = Request::post(self.url(queue, after))
            .header(CONTENT_TYPE, "application/xml")
            .body(PutPayload::from(body))
            .map_err(|error| Error::config(format!("`{}` is not an endpoint", account.queue)).with_source(error))?;
        let call = StorageCall::new(&state.credentials, account, judge);
        let answer = call.make(&state.client, "PutMessage", Safety::Idempotent, request).await?;
        if answer.response.status().is_success() {
            return Ok(());
        }
        let refusal = Refusal::read(&answer.response).uncertain(answer.uncertain);
        Err(refusal.explain(&format!("the queue `{queue}` of the storage account `{}`", account.name)))
    }

    fn url(&self, queue: &str, after: Option<Duration>) -> String {
        let url = format!("{}/{queue}/messages?messagettl=-1", self.account.queue);
        let Some(after) = after else { return url };
        let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
        format!("{url}&visibilitytimeout={seconds}")
    }
}

fn judge(answer: &Response<Bytes>) -> Judgement {
    if answer.status().is_success() { Judgement::Final } else { Refusal::read(answer).judge() }
}
