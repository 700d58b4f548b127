//! Calls whose credentials may be refused, and others be at hand.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use isobar_abstraction::Result;
use isobar_rest::{Answer, Call, Client, Opened, Safety, Service};
use object_store::PutPayload;

/// A service that may have other credentials than those that were refused.
#[async_trait]
pub(crate) trait Renew: Service {
    /// Does the answer refuse the credentials, and are there others?
    async fn renew(&self, answer: &Response<Bytes>) -> bool;
}

/// Makes a call, and once more where its credentials were refused and there are others.
pub(crate) async fn call(
    client: &Client,
    service: &impl Renew,
    operation: &'static str,
    safety: Safety,
    request: Request<PutPayload>,
) -> Result<Answer> {
    let make = |request| client.call(Call { operation, request, safety, service });
    let first = make(request.clone()).await?;
    if first.response.status().is_success() || !service.renew(&first.response).await {
        return Ok(first);
    }
    // What an attempt before may have done stays done.
    let unknown = |error: isobar_abstraction::Error| if first.uncertain { error.with_outcome_unknown() } else { error };
    let again = make(request).await.map_err(unknown)?;
    Ok(Answer { uncertain: again.uncertain | first.uncertain, ..again })
}

/// Like [`call`], but of a read whose answer is handed out as it comes.
pub(crate) async fn open(
    client: &Client,
    service: &impl Renew,
    operation: &'static str,
    request: Request<PutPayload>,
) -> Result<Opened> {
    let make = |request| client.open(Call { operation, request, safety: Safety::Read, service });
    match make(request.clone()).await? {
        Opened::Refused(answer) => match service.renew(&answer.response).await {
            true => make(request).await,
            false => Ok(Opened::Refused(answer)),
        },
        stream @ Opened::Stream(_) => Ok(stream),
    }
}
