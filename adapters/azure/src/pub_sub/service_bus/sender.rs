//! Sending to a topic or a queue of Service Bus.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Judgement, Safety, Service};
use object_store::PutPayload;
use parking_lot::Mutex;

use super::sas::Tokens;
use crate::State;
use crate::config::{Access, ServiceBusNamespace};
use crate::credentials::Audience;
use crate::credentials::renewal::{self, Renew};
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
        let resource = format!("{}/{entity}", self.namespace.endpoint);
        let request = Request::post(format!("{resource}/messages"))
            .header(CONTENT_TYPE, "application/vnd.microsoft.servicebus.json")
            .body(PutPayload::from(body))
            .map_err(|error| Error::internal("the request cannot be made").with_source(error))?;
        let call = OneCall { sender: self, resource, shown: Mutex::default() };
        let client = &self.state.client;
        let answer = renewal::call(client, &call, "SendMessageBatch", Safety::Idempotent, request).await?;
        if answer.response.status().is_success() {
            return Ok(Ok(()));
        }
        Ok(Err(Refusal::read(&answer.response).uncertain(answer.uncertain)))
    }
}

struct OneCall<'a> {
    sender: &'a Sender<'a>,
    /// The URL of the topic or queue, which is what a token opens.
    resource: String,
    /// The token of an identity that the last attempt showed.
    shown: Mutex<Option<Arc<str>>>,
}

#[async_trait]
impl Renew for OneCall<'_> {
    async fn renew(&self, answer: &Response<Bytes>) -> bool {
        if !Refusal::read(answer).is_unauthenticated() {
            return false;
        }
        let Sender { state, namespace, tokens } = self.sender;
        let shown = self.shown.lock().take();
        match (&namespace.access, shown) {
            // The token may be from before a change of the clock.
            (Access::Key(_), _) => {
                tokens.reject(&self.resource);
                true
            }
            (Access::Identity, Some(shown)) => state.credentials.renew(Audience::ServiceBus, &shown).await,
            (Access::Identity, None) | (Access::Sas(_), _) => false,
        }
    }
}

#[async_trait]
impl Service for OneCall<'_> {
    async fn authorize(&self, request: &mut Parts, _body: &PutPayload) -> Result<()> {
        let Sender { state, namespace, tokens } = self.sender;
        let text = match &namespace.access {
            Access::Key(key) => tokens.get(&self.resource, &namespace.policy, key).to_string(),
            Access::Sas(sas) => format!("SharedAccessSignature {}", String::from_utf8_lossy(&sas.0)),
            Access::Identity => {
                let token = state.credentials.token(Audience::ServiceBus).await?;
                let text = format!("Bearer {token}");
                *self.shown.lock() = Some(token);
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
