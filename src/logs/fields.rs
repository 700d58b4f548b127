//! The fields of a span as a JSON object, written down once when the span begins.
//!
//! `tracing_subscriber`'s own `JsonFields` makes a map first, and text of each value: that took a quarter of
//! the instructions of an HTTP request, although few requests log a line.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::{FormatFields, Writer};

/// Writes the fields of spans.
#[derive(Debug)]
pub(super) struct SpanFields;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        writer.write_char('{')?;
        write_fields(&mut writer, fields, "")?;
        writer.write_char('}')
    }

    /// A field that is recorded later comes behind the others.
    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let empty = current.fields.len() <= 2;
        if current.fields.pop().is_none() {
            current.fields.push('{');
        }
        write_fields(&mut current.as_writer(), fields, if empty { "" } else { "," })?;
        current.fields.push('}');
        Ok(())
    }
}

fn write_fields(writer: &mut Writer<'_>, fields: impl RecordFields, separator: &'static str) -> fmt::Result {
    let mut visitor = Json { writer, separator, result: Ok(()) };
    fields.record(&mut visitor);
    visitor.result
}

/// Writes `"name":value` for each field that it visits.
struct Json<'a, 'writer> {
    writer: &'a mut Writer<'writer>,
    /// What stands before the next field.
    separator: &'static str,
    result: fmt::Result,
}

impl Json<'_, '_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let separator = std::mem::replace(&mut self.separator, ",");
        let name = field.name().trim_start_matches("r#");
        self.result = self.result.and_then(|()| {
            self.writer.write_str(separator)?;
            text(self.writer, format_args!("{name}"))?;
            self.writer.write_char(':')?;
            value(self.writer)
        });
    }
}

impl Visit for Json<'_, '_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other numbers.
        self.field(
            field,
            |writer| if value.is_finite() { write!(writer, "{value}") } else { writer.write_str("null") },
        );
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |writer| text(writer, format_args!("{value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |writer| text(writer, format_args!("{value:?}")));
    }
}

fn text(writer: &mut Writer<'_>, value: fmt::Arguments<'_>) -> fmt::Result {
    writer.write_char('"')?;
    Escaped(writer).write_fmt(value)?;
    writer.write_char('"')
}

/// Text within a string of JSON.
struct Escaped<'a, 'writer>(&'a mut Writer<'writer>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(place) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            self.0.write_str(&rest[..place])?;
            write!(self.0, "\\u{:04x}", rest.as_bytes()[place])?;
            rest = &rest[place + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    /// What is written of the fields of a span, read by somebody else.
    fn written(span: impl FnOnce() -> tracing::Span) -> serde_json::Value {
        let layer = tracing_subscriber::fmt::layer().json().fmt_fields(SpanFields).with_writer(std::io::sink);
        let subscriber = tracing_subscriber::registry().with(layer);
        let registry = tracing::Dispatch::new(subscriber);
        tracing::dispatcher::with_default(&registry, || {
            let span = span();
            let registry = registry.downcast_ref::<tracing_subscriber::Registry>().unwrap();
            use tracing_subscriber::registry::LookupSpan;
            let data = registry.span(&span.id().unwrap()).unwrap();
            let fields = data.extensions().get::<FormattedFields<SpanFields>>().unwrap().fields.clone();
            serde_json::from_str(&fields).unwrap_or_else(|error| panic!("{error}: {fields}"))
        })
    }

    #[test]
    fn fields_of_all_types_are_json() {
        let told = written(|| {
            tracing::info_span!(
                "a",
                path = "/\"\\\n\u{1}\u{1f980}",
                n = -7_i64,
                u = u64::MAX,
                b = true,
                f = 1.5,
                nan = f64::NAN,
                d = ?"q\"",
                r#type = "x"
            )
        });
        let path = "/\"\\\n\u{1}\u{1f980}";
        let wanted = serde_json::json!({
            "path": path, "n": -7, "u": u64::MAX, "b": true, "f": 1.5, "nan": null, "d": "\"q\\\"\"", "type": "x"
        });
        assert_eq!(told, wanted);
        assert_eq!(written(|| tracing::info_span!("none")), serde_json::json!({}));
    }

    #[test]
    fn what_is_recorded_later_joins_the_others() {
        let told = written(|| {
            let span = tracing::info_span!("a", status = tracing::field::Empty, retries = tracing::field::Empty);
            span.record("status", 200);
            span.record("retries", "none");
            span
        });
        assert_eq!(told, serde_json::json!({"status": 200, "retries": "none"}));
    }
}
