//! The layer of the log that adds lines and operations to the records.

use std::borrow::Cow;
use std::fmt::{self, Debug, Write as _};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::History;
use super::record::{Line, Operation};

/// The longest text of a line that is recorded, in bytes.
const LONGEST: usize = 4_000;

/// Records the log lines and the operations of each event, for the dashboard. An app that sets a subscriber itself adds it,
/// [`filtered`](Self::filtered), to show them there:
///
/// ```
/// use tracing_subscriber::prelude::*;
/// let subscriber = tracing_subscriber::registry().with(isobar_local::HistoryLayer::new().filtered());
/// # drop(subscriber);
/// ```
#[derive(Clone, Debug)]
pub struct HistoryLayer {
    history: History,
    lines: Targets,
}

impl Default for HistoryLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl HistoryLayer {
    /// A layer with an empty history, which records lines from `INFO`.
    pub fn new() -> Self {
        Self { history: History::new(), lines: Targets::new().with_default(LevelFilter::INFO) }
    }

    /// Records these lines.
    #[must_use]
    pub fn with_lines(self, lines: Targets) -> Self {
        Self { lines, ..self }
    }

    /// The layer with its own filter, so that it has no effect on other layers.
    pub fn filtered<S: Subscriber + for<'a> LookupSpan<'a>>(self) -> impl Layer<S> {
        let filter = Recorded(self.lines.clone());
        self.with_filter(filter)
    }

    pub(super) fn history(&self) -> History {
        self.history.clone()
    }
}

/// The span of a record: outside of all others, and of no interest to other layers.
pub(super) fn record_span(id: u64) -> Span {
    tracing::trace_span!(target: TARGET, "record", id)
}

const TARGET: &str = "isobar::history";

/// The id of a record, in its span.
struct OfRecord(u64);

/// An operation, in its span.
struct Began {
    at: Instant,
    resource: String,
    operation: String,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for HistoryLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        match Kind::of(attributes.metadata()) {
            Some(Kind::Record) => {
                let mut number = Number(None);
                attributes.record(&mut number);
                if let Some(record) = number.0 {
                    span.extensions_mut().insert(OfRecord(record));
                }
            }
            Some(Kind::Operation) => {
                let (mut resource, mut operation) = (Text::of("resource"), Text::of("operation"));
                attributes.record(&mut resource);
                attributes.record(&mut operation);
                let began = Began { at: Instant::now(), resource: resource.text, operation: operation.text };
                span.extensions_mut().insert(began);
            }
            _ => {}
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).filter(|span| Kind::of(span.metadata()) == Some(Kind::Operation));
        let Some(span) = span else { return };
        let began = span.extensions_mut().remove::<Began>();
        if let (Some(began), Some(record)) = (began, record_of(Some(span))) {
            let Began { at, resource, operation } = began;
            let took = at.elapsed();
            self.history.change(record, |record| {
                let start = at.saturating_duration_since(record.at);
                record.add_operation(Operation { start, took, resource, operation });
            });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(record) = record_of(context.event_span(event)) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target, now) = (*event.metadata().level(), event.metadata().target(), Instant::now());
        self.history.change(record, |record| {
            let at = now.saturating_duration_since(record.at);
            record.add_line(Line { at, level, target: target.into(), message: fields.message, fields: fields.others });
        });
    }
}

/// The record of a span or of one that it is in.
fn record_of<'a, S: LookupSpan<'a>>(span: Option<SpanRef<'a, S>>) -> Option<u64> {
    span?.scope().find_map(|span| span.extensions().get::<OfRecord>().map(|record| record.0))
}

/// The spans that the layer reads.
#[derive(PartialEq, Eq)]
enum Kind {
    Record,
    /// Of an operation of a resource.
    Operation,
}

impl Kind {
    fn of(metadata: &Metadata<'_>) -> Option<Self> {
        match (metadata.name(), metadata.target()) {
            ("record", TARGET) => Some(Self::Record),
            ("operation", "isobar_abstraction::handle") => Some(Self::Operation),
            _ => None,
        }
    }
}

fn is_operation(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && Kind::of(metadata) == Some(Kind::Operation)
}

/// What the layer needs: its spans, and the lines of the log.
struct Recorded(Targets);

impl Recorded {
    fn accepts(&self, metadata: &Metadata<'_>) -> bool {
        match metadata.is_span() {
            true => Kind::of(metadata).is_some(),
            false => self.0.would_enable(metadata.target(), metadata.level()),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Recorded {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        // An operation outside of a record needs no span.
        match is_operation(metadata) {
            true => record_of(context.lookup_current()).is_some(),
            false => self.accepts(metadata),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.accepts(metadata) {
            true if is_operation(metadata) => Interest::sometimes(),
            true => Interest::always(),
            false => Interest::never(),
        }
    }
}

/// The number in a field.
struct Number(Option<u64>);

impl Visit for Number {
    fn record_u64(&mut self, _: &Field, value: u64) {
        self.0 = Some(value);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// One field of any type, as text.
struct Text {
    name: &'static str,
    text: String,
}

impl Text {
    fn of(name: &'static str) -> Self {
        Self { name, text: String::new() }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == self.name {
            self.text = text(format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.name {
            self.text = text(format_args!("{value}"));
        }
    }
}

/// All fields of a line.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(Cow<'static, str>, String)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        match field.name() {
            "message" => self.message = text(value),
            name => self.others.push((name.trim_start_matches("r#").into(), text(value))),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// Text that ends where it is too long.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = LONGEST.saturating_sub(self.0.len());
        let end = text.floor_char_boundary(left.min(text.len()));
        self.0.push_str(&text[..end]);
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

fn text(value: fmt::Arguments<'_>) -> String {
    let mut short = Short(String::new());
    if short.write_fmt(value).is_err() {
        short.0.push('…');
    }
    short.0
}
