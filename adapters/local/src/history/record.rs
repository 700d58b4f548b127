//! One event that the app handled, with all that is known about it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use isobar_abstraction::driver::Settlement;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::{
    Body, Context, Event, Invocation, ObjectChange, ObjectEvent, Outcome, Tick, TraceParent, WriteEvent,
};

use bytes::Bytes;

use super::body::{Captured, Rest};

/// The most log lines and the most operations of one record.
const MOST: usize = 500;

pub(super) struct Record {
    pub(super) id: u64,
    /// The number of the last change.
    pub(super) changed: u64,
    pub(super) content: Content,
    pub(super) invocation: Arc<str>,
    pub(super) trace: u128,
    pub(super) attempt: u32,
    /// Whether a person started it from the dashboard.
    pub(super) again: bool,
    pub(super) started: SystemTime,
    pub(super) at: Instant,
    pub(super) ended: Option<(Duration, Ending)>,
    /// The first error, or else the first warning, that was logged.
    pub(super) reason: Option<Reason>,
    pub(super) lines: Vec<Line>,
    pub(super) operations: Vec<Operation>,
    /// How many lines and operations are not in the lists.
    pub(super) more: usize,
    /// The bytes that the history counts for it.
    pub(super) counted: usize,
}

/// A line of the log that explains a failure.
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// A line of the log.
pub(super) struct Line {
    pub(super) at: Duration,
    pub(super) level: tracing::Level,
    pub(super) target: Cow<'static, str>,
    pub(super) message: String,
    pub(super) fields: Vec<(Cow<'static, str>, String)>,
}

/// A call of a table, a bucket, a topic or another resource.
pub(super) struct Operation {
    pub(super) start: Duration,
    pub(super) took: Duration,
    pub(super) resource: String,
    pub(super) operation: String,
}

/// The event itself.
#[derive(Clone)]
pub(crate) enum Content {
    Http {
        method: Method,
        uri: String,
        headers: HeaderText,
        /// It cannot run again as it was: headers were removed, or it was not for the app.
        is_partial: bool,
        body: Captured,
    },
    Message {
        topic: String,
        subscription: String,
        message: Message<Bytes>,
    },
    Object {
        trigger: String,
        event: ObjectEvent,
    },
    Write(WriteEvent),
    Schedule(Tick),
    Invoke(Invocation),
}

/// How an event ended.
pub(crate) enum Ending {
    Response {
        status: StatusCode,
        headers: HeaderText,
        body: Option<Captured>,
    },
    /// The handler succeeded; of a direct call with its answer.
    Done(Option<Bytes>),
    /// It is delivered again after this time.
    Retry(String, Duration),
    /// It is a dead letter now.
    Dead(String),
    /// The handler failed, and the event is not delivered again by itself.
    Failed(String),
    /// The process ended, or nothing received the result.
    Gone,
}

/// Headers in one text, a line for each: a `HeaderMap` would keep the buffer of the connection.
#[derive(Clone)]
pub(crate) struct HeaderText(pub(super) String);

pub(super) fn head(headers: &HeaderMap) -> HeaderText {
    let mut text =
        String::with_capacity(headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum());
    for (name, value) in headers {
        // A value that is not text has no reader. Writing to a string does not fail.
        let _ = writeln!(text, "{name}:{}", value.to_str().unwrap_or("(not ASCII)"));
    }
    HeaderText(text)
}

/// What is shown in place of a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// A header whose name contains one of these words has a secret value.
const SECRET_WORDS: [&str; 15] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "signature",
    "password",
    "session",
    "credential",
    "hmac",
    "jwt",
    "principal",
    "api-key",
    "apikey",
    "access-key",
    "functions-key",
];

/// Whether the value of a header is a secret for its name, which is in lower case.
pub(super) fn is_secret(name: &str) -> bool {
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

impl HeaderText {
    /// The same without secrets.
    pub(super) fn without_secrets(&self) -> Self {
        let lines = self.iter().filter(|(name, _)| !is_secret(name)).map(|(name, value)| format!("{name}:{value}\n"));
        Self(lines.collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| line.split_once(':'))
    }
}

impl Record {
    pub(super) fn new(id: u64, content: Content, cx: &Context, started: SystemTime, again: bool) -> Self {
        let of_message = match &content {
            Content::Message { message, .. } => Some((message.attempt, message.trace_parent)),
            _ => None,
        };
        let (attempt, parent) = of_message.unwrap_or((cx.attempt(), None));
        Self {
            id,
            changed: id,
            content,
            invocation: cx.invocation_id().into(),
            trace: parent.unwrap_or_else(|| cx.trace_parent()).trace_id(),
            attempt,
            again,
            started,
            at: Instant::now(),
            ended: None,
            reason: None,
            lines: Vec::new(),
            operations: Vec::new(),
            more: 0,
            counted: 0,
        }
    }

    /// About how many bytes of memory it has.
    pub(super) fn bytes(&self) -> usize {
        let text = |text: &String| text.len() + 24;
        let line =
            |line: &Line| text(&line.message) + line.fields.iter().map(|(_, value)| text(value) + 16).sum::<usize>();
        let operation = |it: &Operation| text(&it.resource) + text(&it.operation) + 32;
        let ended = self.ended.as_ref().map_or(0, |(_, ending)| ending.bytes());
        self.lines.iter().map(|it| line(it) + 64).sum::<usize>()
            + self.operations.iter().map(operation).sum::<usize>()
            + self.content.bytes()
            + ended
            + size_of::<Self>()
    }

    pub(super) fn add_line(&mut self, line: Line) {
        let is_error = line.level == tracing::Level::ERROR;
        let explains = is_error || line.level == tracing::Level::WARN;
        if explains && self.reason.as_ref().is_none_or(|reason| is_error && !reason.is_error) {
            let detail = line.fields.iter().find(|(name, _)| matches!(name.as_ref(), "error" | "reason"));
            let detail = detail.map_or_else(String::new, |(_, detail)| format!(": {detail}"));
            self.reason = Some(Reason { text: format!("{}{detail}", line.message), is_error });
        }
        match self.lines.len() < MOST {
            true => self.lines.push(line),
            false => self.more += 1,
        }
    }

    pub(super) fn add_operation(&mut self, operation: Operation) {
        match self.operations.len() < MOST {
            true => self.operations.push(operation),
            false => self.more += 1,
        }
    }
}

impl Content {
    pub(super) fn of_request(request: Request<Body>) -> (Self, Request<Body>) {
        let (parts, body) = request.into_parts();
        let captured = Captured::new();
        let content = Self::Http {
            method: parts.method.clone(),
            uri: parts.uri.to_string(),
            headers: head(&parts.headers),
            is_partial: !is_repeatable(&parts),
            body: captured.clone(),
        };
        // A client that expects `100 Continue` sends no body after an early response.
        let rest = if parts.headers.contains_key(EXPECT) { Rest::Leave } else { Rest::Read };
        (content, Request::from_parts(parts, captured.record(body, rest)))
    }

    pub(super) fn of_event(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Message { topic, subscription, message } => {
                Self::Message { topic: topic.clone(), subscription: subscription.clone(), message: message.clone() }
            }
            Event::Object { trigger, event } => Self::Object { trigger: trigger.clone(), event: event.clone() },
            Event::Write(event) => Self::Write(event.clone()),
            Event::Schedule(tick) => Self::Schedule(tick.clone()),
            Event::Invoke(invocation) => Self::Invoke(invocation.clone()),
            _ => return None,
        })
    }

    /// The event, to handle it again; as a request where it is one.
    pub(crate) fn into_event(self) -> Event {
        match self {
            Self::Http { method, uri, headers, body, .. } => {
                let body = body.whole().map_or_else(Body::empty, Body::from);
                let mut request = Request::new(body);
                (*request.method_mut(), *request.uri_mut()) = (method, uri.parse().unwrap_or_default());
                for (name, value) in headers.iter() {
                    if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), value.parse()) {
                        request.headers_mut().append(name, value);
                    }
                }
                // The trace of the first time is not continued.
                request.headers_mut().remove(TraceParent::NAME);
                Event::Http(request)
            }
            Self::Message { topic, subscription, mut message } => {
                message.trace_parent = None;
                Event::Message { topic, subscription, message }
            }
            Self::Object { trigger, event } => Event::Object { trigger, event },
            Self::Write(event) => Event::Write(event),
            Self::Schedule(tick) => Event::Schedule(tick),
            Self::Invoke(invocation) => Event::Invoke(invocation),
        }
    }

    /// The body of a request.
    pub(super) fn body(&self) -> Option<&Captured> {
        if let Self::Http { body, .. } = self { Some(body) } else { None }
    }

    /// Whether it is recorded as a whole.
    pub(super) fn is_whole(&self) -> bool {
        if let Self::Http { body, is_partial, .. } = self { body.is_whole() && !is_partial } else { true }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Message { .. } => "message",
            Self::Object { .. } => "object",
            Self::Write(_) => "write",
            Self::Schedule(_) => "schedule",
            Self::Invoke(_) => "invoke",
        }
    }

    pub(super) fn title(&self) -> String {
        let named = |source: &str, name: &str| match name {
            "default" => source.to_owned(),
            name => format!("{source} ({name})"),
        };
        match self {
            Self::Http { method, uri, .. } => format!("{method} {uri}"),
            Self::Message { topic, subscription, .. } => named(topic, subscription),
            Self::Object { trigger, event } => {
                let change = if event.change == ObjectChange::Deleted { "deleted" } else { "created" };
                format!("{} {} {change}", named(&event.bucket, trigger), event.key)
            }
            Self::Write(event) => format!("{} {}", event.table, event.key),
            Self::Schedule(tick) => tick.schedule.clone(),
            Self::Invoke(invocation) => invocation.function.clone(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Http { uri, headers, body, .. } => uri.len() + headers.0.len() + body.len(),
            Self::Message { message, .. } => message.body.len() + 256,
            Self::Object { event, .. } => event.key.len() + 64,
            Self::Write(event) => event.key.partition.len() + event.key.sort.len() + 64,
            Self::Schedule(_) => 64,
            Self::Invoke(invocation) => invocation.payload.len() + 64,
        }
    }
}

/// A signed URL is no request to the app, and a header that is not ASCII is not recorded.
fn is_repeatable(request: &Parts) -> bool {
    !request.uri.path().starts_with("/.isobar/") && request.headers.values().all(|value| value.to_str().is_ok())
}

impl Ending {
    /// The end of an event that its queue settles.
    pub(crate) fn of_settlement(settlement: &Settlement, outcome: &Outcome) -> Self {
        let why = match outcome {
            Outcome::Retry { reason, .. } | Outcome::Reject { reason } => reason.clone(),
            _ => String::new(),
        };
        match settlement {
            Settlement::Done => Self::Done(None),
            Settlement::Retry(after) => Self::Retry(why, *after),
            Settlement::DeadLetter(reason) => Self::Dead(reason.clone()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Response { headers, body, .. } => headers.0.len() + body.as_ref().map_or(0, Captured::len),
            Self::Done(answer) => answer.as_ref().map_or(0, Bytes::len),
            Self::Retry(reason, _) | Self::Dead(reason) | Self::Failed(reason) => reason.len(),
            Self::Gone => 0,
        }
    }
}
