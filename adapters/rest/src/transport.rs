//! One attempt: sends a request on a pooled connection and receives the response.

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

/// An outgoing request.
pub(crate) type Outgoing = Request<RequestBody>;

type Pool = HyperClient<Connector, RequestBody>;

/// The slowest upload: a request may take a second longer for each of this many bytes.
const MIN_BYTES_PER_SECOND: f64 = 256.0 * 1024.0;

/// Sends requests. It allocates no connection before the first.
pub(crate) struct Transport {
    config: ClientConfig,
    clock: Arc<dyn Clock>,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    connector: Option<Connector>,
    pool: Option<Arc<Pool>>,
}

impl Transport {
    pub(crate) fn new(config: ClientConfig, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock, connections: Mutex::default() }
    }

    /// Sends a request and reads the whole response. `left` is the time until the deadline of the invocation.
    pub(crate) async fn exchange(
        &self,
        mut request: Outgoing,
        left: Option<Duration>,
    ) -> Result<Response<Bytes>, Failure> {
        let attempt = self.prepare(&mut request).map_err(Failure::unsent)?;
        let limit = Limit::new(self.timeout_of(&request), left);
        if limit.time.is_zero() {
            return Err(attempt.late(limit));
        }
        let whole = async { attempt.whole(attempt.head(request).await?).await };
        let response = timeout(limit.time, whole).await;
        response.unwrap_or_else(|_| Err(attempt.late(limit)))
    }

    /// Sends a request and returns the response as a stream. The time of an attempt limits the wait for
    /// the head, and then for each part.
    pub(crate) async fn stream(
        &self,
        mut request: Outgoing,
        left: Option<Duration>,
    ) -> Result<Response<StreamBody>, Failure> {
        let attempt = self.prepare(&mut request).map_err(Failure::unsent)?;
        let (started, part_timeout) = (Instant::now(), self.config.attempt_timeout);
        let limit = Limit::new(self.timeout_of(&request), left);
        if limit.time.is_zero() {
            return Err(attempt.late(limit));
        }
        let response = timeout(limit.time, attempt.head(request)).await;
        let response = response.unwrap_or_else(|_| Err(attempt.late(limit)))?;
        let left = left.map(|left| left.saturating_sub(started.elapsed()));
        Ok(response.map(|body| StreamBody::new(body, attempt.target, part_timeout, left)))
    }

    /// The timeout of an attempt: longer for a large request, which may have a slow upload.
    fn timeout_of(&self, request: &Outgoing) -> Duration {
        let upload = request.body().content_length() as f64 / MIN_BYTES_PER_SECOND;
        self.config.attempt_timeout.saturating_add(Duration::from_secs_f64(upload))
    }

    /// Reads the rest of a streamed response that is no success. A body of more than `limit` bytes is
    /// dropped; the head remains.
    pub(crate) async fn service_error(
        response: Response<StreamBody>,
        limit: usize,
    ) -> Result<Response<Bytes>, Failure> {
        let (parts, body) = response.into_parts();
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
        let (connector, pool) = self.connections()?;
        if target.secure {
            // Here, not in the connector: its error would only report that it cannot connect.
            connector.tls()?;
        } else if let Some(proxy) = connector.proxy(request.uri())
            && let Some(credentials) = proxy.basic_auth()
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        Ok(Attempt { transport: self, target, pool, connection: capture_connection(request) })
    }

    fn connections(&self) -> Result<(Connector, Arc<Pool>)> {
        let mut connections = self.connections.lock();
        let connector = match &connections.connector {
            Some(connector) => connector.clone(),
            None => connections.connector.insert(Connector::new(&self.config)?).clone(),
        };
        let pool = connections.pool.get_or_insert_with(|| Arc::new(self.pool(connector.clone())));
        Ok((connector, Arc::clone(pool)))
    }

    fn pool(&self, connector: Connector) -> Pool {
        HyperClient::builder(TokioExecutor::new())
            .pool_timer(PoolTimer::new(Arc::clone(&self.clock)))
            .pool_idle_timeout(self.config.idle_timeout)
            .build(connector)
    }

    /// Drops a pool with a dead connection: its other connections are as old.
    fn retire(&self, pool: &Arc<Pool>) {
        let mut connections = self.connections.lock();
        if connections.pool.as_ref().is_some_and(|current| Arc::ptr_eq(current, pool)) {
            connections.pool = None;
        }
    }
}

/// An attempt in progress.
struct Attempt<'a> {
    transport: &'a Transport,
    target: Target,
    pool: Arc<Pool>,
    connection: CaptureConnection,
}

impl Attempt<'_> {
    async fn head(&self, request: Outgoing) -> Result<Response<Incoming>, Failure> {
        let response = self.pool.request(request).await.map_err(|error| {
            let mut failure = self.target.no_response(error);
            failure.sent &= self.has_connection();
            if failure.again == Again::Immediately {
                self.transport.retire(&self.pool);
            }
            failure
        })?;
        Served::mark(response.extensions());
        Ok(response)
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Response<Bytes>, Failure> {
        let limit = self.transport.config.max_response_bytes;
        let (parts, body) = response.into_parts();
        if usize::try_from(body.size_hint().lower()).map_or(true, |size| size > limit) {
            return Err(self.target.too_large(limit));
        }
        let body =
            Limited::new(body, limit).collect().await.map_err(|error| match error.downcast::<LengthLimitError>() {
                Ok(_) => self.target.too_large(limit),
                Err(error) => self.target.interrupted(error),
            })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    /// The failure of a timeout. Without a connection, nothing was sent.
    fn late(&self, limit: Limit) -> Failure {
        self.target.late(limit, self.has_connection())
    }

    fn has_connection(&self) -> bool {
        self.connection.connection_metadata().is_some()
    }
}
