//! Sending to a topic or a queue of Service Bus.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Answer, Call, Judgement, Safety, Service};
use object_store::PutPayload;
use parking_lot::Mutex;

use super::sas::Tokens;
use crate::State;
use crate::config::{Access, ServiceBusNamespace};
use crate::credentials::Audience;
use crate::pub_sub::refusal::Refusal;

/// Sends to the topics and queues of a namespace.
pub(crate) struct Sender<'a> {
    state: &'a State,
    namespace: &'a ServiceBusNamespace,
    tokens: &'a Tokens,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(state: &'a State, namespace: &'a ServiceBusNamespace, tokens: &'a Tokens) -> Self {
        Self { state, namespace, tokens }
    }

    /// Sends messages, all or none. The inner result is the service's own.
    pub(crate) async fn send(&self, entity: &str, body: Bytes) -> Result<std::result::Result<(), Refusal>> {
        let call =
            OneCall { sender: self, resource: format!("{}/{entity}", self.namespace.endpoint), used: Mutex::default() };
        let first = call.make(body.clone()).await?;
        let refusal = match refused(&first) {
            Some(refusal) if refusal.is_unauthenticated() && call.renew() => {
                let earlier = first.uncertain;
                let unknown = |error: Error| if earlier { error.with_outcome_unknown() } else { error };
                let again = call.make(body).await.map_err(unknown)?;
                refused(&again).map(|refusal| refusal.uncertain(again.uncertain || earlier))
            }
            refusal => refusal,
        };
        Ok(refusal.map_or(Ok(()), Err))
    }
}

fn refused(answer: &Answer) -> Option<Refusal> {
    let refused = !answer.response.status().is_success();
    refused.then(|| Refusal::read(&answer.response).uncertain(answer.uncertain))
}

struct OneCall<'a> {
    sender: &'a Sender<'a>,
    /// The URL of the topic or queue, which is what a token opens.
    resource: String,
    /// The token of an identity that the last attempt was made with.
    used: Mutex<Option<Arc<str>>>,
}

impl OneCall<'_> {
    async fn make(&self, body: Bytes) -> Result<Answer> {
        let request = Request::post(format!("{}/messages", self.resource))
            .header(CONTENT_TYPE, "application/vnd.microsoft.servicebus.json")
            .body(PutPayload::from(body))
            .map_err(|error| Error::internal("the request cannot be made").with_source(error))?;
        let call = Call { operation: "SendMessageBatch", request, safety: Safety::Idempotent, service: self };
        self.sender.state.client.call(call).await
    }

    /// Is there another token to be had?
    fn renew(&self) -> bool {
        match &self.sender.namespace.access {
            // The token may be from before a change of the clock.
            Access::Key(_) => {
                self.sender.tokens.reject(&self.resource);
                true
            }
            Access::Sas(_) => false,
            Access::Identity => {
                let used = self.used.lock().take();
                let Some(token) = used else { return false };
                self.sender.state.credentials.reject(Audience::ServiceBus, &token);
                true
            }
        }
    }
}

#[async_trait]
impl Service for OneCall<'_> {
    async fn authorize(&self, request: &mut Parts, _body: &PutPayload) -> Result<()> {
        let Sender { state, namespace, tokens } = self.sender;
        let text = match &namespace.access {
            Access::Key(key) => tokens.get(&self.resource, &namespace.policy, key).to_string(),
            Access::Sas(sas) => {
                let text = String::from_utf8_lossy(&sas.0);
                format!("SharedAccessSignature {}", text.trim_start_matches("SharedAccessSignature "))
            }
            Access::Identity => {
                let token = state.credentials.token(Audience::ServiceBus).await?;
                let text = format!("Bearer {token}");
                *self.used.lock() = Some(token);
                text
            }
        };
        let wrong = |_| Error::config("the Service Bus token is no header value");
        let mut value = HeaderValue::from_str(&text).map_err(wrong)?;
        value.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        if answer.status().is_success() { Judgement::Final } else { Refusal::read(answer).judge() }
    }
}
