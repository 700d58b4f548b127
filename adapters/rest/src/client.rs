//! The client: what is tried again, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use isobar_abstraction::driver::{Clock, current_deadline};
use isobar_abstraction::{Error, ErrorKind, Result};
use tokio::time::timeout;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, debug_span};

use crate::failure::{Again, Failure};
use crate::payload::RequestBody;
use crate::retry::{Budget, COST, COST_OF_TIMEOUT, backoff, retry_after};
use crate::service_error::mark_uncertain;
use crate::stream::StreamBody;
use crate::transport::{Outgoing, Transport};
use crate::{Call, ClientConfig, RetryDecision, Safety, ServiceError, ServiceResult};

/// The HTTP client. Cheap to clone, and to make: it reads certificates and connects at first use.
///
/// All clones share one pool and one retry budget: a bucket of 500 tokens, of which a retry takes 5,
/// after a timeout 10. A call that succeeds gives back 1, or what its last retry took. While the
/// bucket is empty nothing is retried.
#[derive(Clone)]
pub struct Client(Arc<State>);

struct State {
    config: ClientConfig,
    clock: Arc<dyn Clock>,
    transport: Transport,
    budget: Budget,
}

impl Client {
    /// A client with a pool of its own. The clock tells of deadlines and dates, and waits between
    /// attempts; timeouts are those of the tokio runtime.
    pub fn new(config: ClientConfig, clock: Arc<dyn Clock>) -> Self {
        let transport = Transport::new(config.clone(), Arc::clone(&clock));
        Self(Arc::new(State { config, clock, transport, budget: Budget::default() }))
    }

    /// Makes a call, and makes it again where that is safe and may help.
    ///
    /// It never outlasts the invocation that it is part of
    /// ([`current_deadline`](isobar_abstraction::driver::current_deadline)). Where retries are used up, or the
    /// invocation leaves no time for one, the last service error is returned.
    ///
    /// A success is http's own type, whose `Debug` shows headers and body: they may be secrets, and are not for a log.
    ///
    /// Errors, with `outcome_unknown` if an attempt of a write may have been applied:
    /// - `Unavailable`: no connection, or no whole answer.
    /// - `Timeout`: no whole answer in time, or no time for another attempt.
    /// - `TooLarge`: the answer has more than `max_response_bytes`.
    /// - `Config`: the URL, a proxy or the CA bundle is wrong.
    /// - what [`Service::authorize`](crate::Service::authorize) says, which is not retried.
    pub async fn call(&self, call: Call<'_>) -> Result<ServiceResult<Response<Bytes>>> {
        match self.make(call, Reading::Whole).await? {
            Got::Whole(answer) => Ok(Ok(answer)),
            Got::Refused(service_error) => Ok(Err(*service_error)),
            Got::Stream(_) => Err(Error::internal("an answer that was to be whole is not")),
        }
    }

    /// Like [`call`](Self::call), but the body of a success is handed out as it comes, however large it
    /// is. What breaks off then is an error of the body, and nobody's to repeat but the caller's
    /// ([`pause`](Self::pause)).
    pub async fn open(&self, call: Call<'_>) -> Result<ServiceResult<Response<StreamBody>>> {
        match self.make(call, Reading::Stream).await? {
            Got::Stream(answer) => Ok(Ok(answer)),
            Got::Refused(service_error) => Ok(Err(*service_error)),
            Got::Whole(answer) => Ok(Err(ServiceError::new(&answer, "", ""))),
        }
    }

    async fn make(&self, call: Call<'_>, reading: Reading) -> Result<Got> {
        let host = call.request.uri().host();
        let span = debug_span!("call", operation = call.operation, host, status = Empty, retries = Empty);
        let mut course = Course::new(&self.0, call, reading);
        let outcome = course.run().instrument(span.clone()).await;
        course.record(&span, &outcome);
        course.settle(outcome)
    }

    /// Waits before retry `number`, counted from 1, of what this client does not repeat by itself.
    /// `false`, without a wait, where there is to be none: the attempts, the retry budget or the
    /// invocation's time are used up.
    pub async fn pause(&self, number: u32) -> bool {
        let wait = backoff(&self.0.config, number, None);
        let late = self.0.left(current_deadline()).is_some_and(|left| left <= wait);
        if late || number >= self.0.config.max_attempts || !self.0.budget.take(COST) {
            return false;
        }
        self.0.clock.pause(wait).await;
        true
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.0.config).field("budget", &self.0.budget).finish_non_exhaustive()
    }
}

impl State {
    /// What is left of the invocation.
    fn left(&self, deadline: Option<SystemTime>) -> Option<Duration> {
        deadline.map(|deadline| deadline.duration_since(self.clock.now()).unwrap_or_default())
    }
}

/// How the answer to a call is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Whole,
    /// The body of a success as it comes.
    Stream,
}

/// What an attempt was answered.
enum Got {
    Whole(Response<Bytes>),
    Stream(Response<StreamBody>),
    Refused(Box<ServiceError>),
}

impl Got {
    fn status(&self) -> StatusCode {
        match self {
            Self::Whole(answer) => answer.status(),
            Self::Stream(answer) => answer.status(),
            Self::Refused(service_error) => service_error.status(),
        }
    }
}

/// Of an answer that is no success, no more than this is read.
const LARGEST_REFUSAL: usize = 64 * 1024;

/// One call, attempt by attempt.
struct Course<'a> {
    client: &'a State,
    call: Call<'a>,
    reading: Reading,
    deadline: Option<SystemTime>,
    retries: u32,
    /// What the last retry took from the budget.
    paid: u32,
    /// Was a dead connection met? That excuses one attempt, not more.
    excused: bool,
    /// Were credentials refused, and others found?
    renewed: bool,
    /// May a write have been applied of which no whole and good answer told?
    uncertain: bool,
}

/// What an attempt ended in.
type Outcome = Result<Got>;

/// When to make another attempt.
enum Next {
    AtOnce,
    After { told: Option<Duration>, cost: u32 },
}

impl<'a> Course<'a> {
    fn new(client: &'a State, call: Call<'a>, reading: Reading) -> Self {
        let deadline = current_deadline();
        Self { client, call, reading, deadline, retries: 0, paid: 0, excused: false, renewed: false, uncertain: false }
    }

    async fn run(&mut self) -> Outcome {
        loop {
            let (outcome, next) = self.decide(self.attempt().await).await;
            match next {
                None => return outcome,
                Some(Next::AtOnce) => {}
                Some(Next::After { told, cost }) => {
                    let wait = backoff(&self.client.config, self.retries + 1, told);
                    if self.retries + 1 >= self.client.config.max_attempts {
                        return outcome;
                    }
                    if self.client.left(self.deadline).is_some_and(|left| left <= wait) {
                        return outcome.map_err(no_time);
                    }
                    if !self.client.budget.take(cost) {
                        return outcome;
                    }
                    self.paid = cost;
                    self.retries += 1;
                    self.client.clock.pause(wait).await;
                }
            }
        }
    }

    async fn authorized(&self) -> Result<Outgoing> {
        let Call { request, service, .. } = &self.call;
        let (mut parts, body) = request.clone().into_parts();
        let late = || Error::new(ErrorKind::Timeout, "the invocation's deadline came before there were credentials");
        self.in_time(service.authorize(&mut parts, &body)).await.ok_or_else(late)??;
        Ok(Request::from_parts(parts, RequestBody::from(body)))
    }

    /// `None` where the invocation ends first.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.client.left(self.deadline) {
            None => Some(work.await),
            Some(left) => timeout(left, work).await.ok(),
        }
    }

    async fn attempt(&self) -> Result<Got, Failure> {
        let request = self.authorized().await.map_err(Failure::before)?;
        let started = self.client.clock.now();
        let answer = self.send(request).await;
        let took = || self.client.clock.now().duration_since(started).unwrap_or_default();
        match &answer {
            Ok(answer) => debug!(attempt = self.retries + 1, status = answer.status().as_u16(), took = ?took()),
            Err(failure) => debug!(attempt = self.retries + 1, error = ?failure.error, took = ?took()),
        }
        answer
    }

    async fn send(&self, request: Outgoing) -> Result<Got, Failure> {
        let left = self.client.left(self.deadline);
        let answer = match self.reading {
            Reading::Whole => self.client.transport.exchange(request, left).await?,
            Reading::Stream => {
                let answer = self.client.transport.stream(request, left).await?;
                if answer.status().is_success() {
                    return Ok(Got::Stream(answer));
                }
                Transport::service_error(answer, LARGEST_REFUSAL).await?
            }
        };
        let service_error = self.call.service.service_error(&answer);
        Ok(service_error.map_or(Got::Whole(answer), |service_error| Got::Refused(Box::new(service_error))))
    }

    /// What an attempt ended in, and whether there is to be another.
    async fn decide(&mut self, attempt: Result<Got, Failure>) -> (Outcome, Option<Next>) {
        match attempt {
            Ok(Got::Refused(service_error)) => {
                let next = self.after_service_error(&service_error).await;
                (Ok(Got::Refused(service_error)), next)
            }
            Ok(answer) => {
                self.client.budget.succeeded(self.paid);
                (Ok(answer), None)
            }
            Err(failure) => {
                let next = self.after_failure(&failure);
                (Err(failure.error), next)
            }
        }
    }

    async fn after_service_error(&mut self, service_error: &ServiceError) -> Option<Next> {
        let told = || retry_after(&service_error.response, self.client.clock.now());
        match service_error.decision {
            RetryDecision::Final
                if !self.renewed && self.in_time(self.call.service.renew(service_error)).await == Some(true) =>
            {
                self.renewed = true;
                Some(Next::AtOnce)
            }
            RetryDecision::Final => {
                self.client.budget.succeeded(self.paid);
                None
            }
            RetryDecision::Throttled { after } => Some(Next::After { told: after.or_else(told), cost: COST }),
            RetryDecision::Failed if self.call.safety == Safety::Once => {
                self.uncertain = true;
                None
            }
            RetryDecision::Failed => {
                let next = Next::After { told: told(), cost: COST };
                self.uncertain |= self.call.safety != Safety::Read;
                Some(next)
            }
        }
    }

    fn after_failure(&mut self, failure: &Failure) -> Option<Next> {
        self.uncertain |= failure.sent && self.call.safety != Safety::Read;
        if failure.sent && self.call.safety == Safety::Once {
            return None;
        }
        let cost = if failure.error.kind() == ErrorKind::Timeout { COST_OF_TIMEOUT } else { COST };
        match failure.again {
            Again::Never => None,
            Again::AtOnce if !self.excused => {
                self.excused = true;
                Some(Next::AtOnce)
            }
            Again::AtOnce | Again::Later => Some(Next::After { told: None, cost }),
        }
    }

    fn record(&self, span: &Span, outcome: &Outcome) {
        span.record("retries", self.retries);
        if let Ok(answer) = outcome {
            span.record("status", answer.status().as_u16());
        }
    }

    fn settle(self, outcome: Outcome) -> Result<Got> {
        match outcome {
            Ok(Got::Refused(service_error)) => {
                Ok(Got::Refused(Box::new(ServiceError { uncertain: self.uncertain, ..*service_error })))
            }
            outcome => outcome.map_err(|error| mark_uncertain(error, self.uncertain)),
        }
    }
}

fn no_time(last: Error) -> Error {
    Error::new(ErrorKind::Timeout, "the invocation's deadline leaves no time for another attempt").with_source(last)
}
