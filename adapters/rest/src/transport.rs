//! One attempt: a request goes out on a pooled connection, an answer comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::TokioExecutor;
use isobar_abstraction::driver::Clock;
use isobar_abstraction::{Error, Result};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::ClientConfig;
use crate::clock::PoolTimer;
use crate::connect::{Connector, Served};
use crate::failure::{Again, Failure, Limit, Target};
use crate::payload::RequestBody;
use crate::stream::StreamBody;

/// A request as it goes out.
pub(crate) type Outgoing = Request<RequestBody>;

type Pool = HyperClient<Connector, RequestBody>;

/// The slowest line for a request: it may take a second more for each so many bytes.
const BYTES_PER_SECOND: f64 = 256.0 * 1024.0;

/// Sends requests. It costs nothing until the first.
pub(crate) struct Transport {
    config: ClientConfig,
    clock: Arc<dyn Clock>,
    ways: Mutex<Ways>,
}

#[derive(Default)]
struct Ways {
    connector: Option<Connector>,
    pool: Option<Arc<Pool>>,
}

impl Transport {
    pub(crate) fn new(config: ClientConfig, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock, ways: Mutex::default() }
    }

    /// Sends a request and reads the whole answer. `left` is what is left of the invocation.
    pub(crate) async fn exchange(
        &self,
        mut request: Outgoing,
        left: Option<Duration>,
    ) -> Result<Response<Bytes>, Failure> {
        let attempt = self.prepare(&mut request).map_err(Failure::before)?;
        let limit = Limit::new(self.patience(&request), left);
        if limit.time.is_zero() {
            return Err(attempt.late(limit));
        }
        let whole = async { attempt.whole(attempt.head(request).await?).await };
        let answer = timeout(limit.time, whole).await;
        answer.unwrap_or_else(|_| Err(attempt.late(limit)))
    }

    /// Sends a request and hands out the answer as it comes. The time of an attempt is what the head
    /// may take, and then each piece.
    pub(crate) async fn stream(
        &self,
        mut request: Outgoing,
        left: Option<Duration>,
    ) -> Result<Response<StreamBody>, Failure> {
        let attempt = self.prepare(&mut request).map_err(Failure::before)?;
        let (started, piece) = (Instant::now(), self.config.attempt_timeout);
        let limit = Limit::new(self.patience(&request), left);
        if limit.time.is_zero() {
            return Err(attempt.late(limit));
        }
        let answer = timeout(limit.time, attempt.head(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(attempt.late(limit)))?;
        let left = left.map(|left| left.saturating_sub(started.elapsed()));
        Ok(answer.map(|body| StreamBody::new(body, attempt.target, piece, left)))
    }

    /// The time of an attempt, and what a large request takes on a slow line.
    fn patience(&self, request: &Outgoing) -> Duration {
        let upload = request.body().content_length() as f64 / BYTES_PER_SECOND;
        self.config.attempt_timeout.saturating_add(Duration::from_secs_f64(upload))
    }

    /// Reads the rest of a streamed answer that is no success. What has more than `limit` bytes is told
    /// by its head alone.
    pub(crate) async fn service_error(answer: Response<StreamBody>, limit: usize) -> Result<Response<Bytes>, Failure> {
        let (parts, body) = answer.into_parts();
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => match error.downcast::<Error>() {
                Ok(error) => return Err(Failure { error: *error, sent: true, again: Again::Later }),
                Err(_) => Bytes::new(),
            },
        };
        Ok(Response::from_parts(parts, body))
    }

    /// Errors: `Config`.
    fn prepare(&self, request: &mut Outgoing) -> Result<Attempt<'_>> {
        let target = Target::of(request.uri())?;
        let (connector, pool) = self.ways()?;
        if target.secure {
            // Here, and not when the connector needs them: it could but say that it cannot connect.
            connector.tls()?;
        } else if let Some(proxy) = connector.proxy(request.uri())
            && let Some(credentials) = proxy.basic_auth()
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        Ok(Attempt { transport: self, target, pool, connection: capture_connection(request) })
    }

    fn ways(&self) -> Result<(Connector, Arc<Pool>)> {
        let mut ways = self.ways.lock();
        let connector = match &ways.connector {
            Some(connector) => connector.clone(),
            None => ways.connector.insert(Connector::new(&self.config)?).clone(),
        };
        let pool = ways.pool.get_or_insert_with(|| Arc::new(self.pool(connector.clone())));
        Ok((connector, Arc::clone(pool)))
    }

    fn pool(&self, connector: Connector) -> Pool {
        HyperClient::builder(TokioExecutor::new())
            .pool_timer(PoolTimer::new(Arc::clone(&self.clock)))
            .pool_idle_timeout(self.config.idle_timeout)
            .build(connector)
    }

    /// Gives up a pool in which a dead connection was found: the others are as old.
    fn retire(&self, pool: &Arc<Pool>) {
        let mut ways = self.ways.lock();
        if ways.pool.as_ref().is_some_and(|current| Arc::ptr_eq(current, pool)) {
            ways.pool = None;
        }
    }
}

/// A request on its way.
struct Attempt<'a> {
    transport: &'a Transport,
    target: Target,
    pool: Arc<Pool>,
    connection: CaptureConnection,
}

impl Attempt<'_> {
    async fn head(&self, request: Outgoing) -> Result<Response<Incoming>, Failure> {
        let answer = self.pool.request(request).await.map_err(|error| {
            let mut failure = self.target.unanswered(error);
            failure.sent &= self.has_connection();
            if failure.again == Again::AtOnce {
                self.transport.retire(&self.pool);
            }
            failure
        })?;
        Served::mark(answer.extensions());
        Ok(answer)
    }

    async fn whole(&self, answer: Response<Incoming>) -> Result<Response<Bytes>, Failure> {
        let limit = self.transport.config.max_response_bytes;
        let (parts, body) = answer.into_parts();
        if usize::try_from(body.size_hint().lower()).map_or(true, |size| size > limit) {
            return Err(self.target.too_large(limit));
        }
        let body =
            Limited::new(body, limit).collect().await.map_err(|error| match error.downcast::<LengthLimitError>() {
                Ok(_) => self.target.too_large(limit),
                Err(error) => self.target.broke_off(error),
            })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    /// As long as there was no connection, nothing was sent.
    fn late(&self, limit: Limit) -> Failure {
        self.target.late(limit, self.has_connection())
    }

    fn has_connection(&self) -> bool {
        self.connection.connection_metadata().is_some()
    }
}
