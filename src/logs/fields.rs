//! The fields of a span as a JSON object, written once when the span begins.
//!
//! `JsonFields` of `tracing_subscriber` makes a map first, and a text of each value. That used a quarter of the
//! instructions of an HTTP request, although few requests log a line.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::{FormatFields, Writer};

/// Writes the fields of spans.
#[derive(Debug)]
pub(super) struct SpanFields;

/// The capacity for the fields of most spans, so that the text is not copied when it grows.
const CAPACITY: usize = 256;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut json = Json(String::with_capacity(CAPACITY));
        json.0.push('{');
        fields.record(&mut json);
        json.0.push('}');
        writer.write_str(&json.0)
    }

    /// Appends the fields that are recorded later.
    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut json = Json(std::mem::take(&mut current.fields));
        if json.0.pop().is_none() {
            json.0.push('{');
        }
        fields.record(&mut json);
        json.0.push('}');
        current.fields = json.0;
        Ok(())
    }
}

/// An object to which `"name":value` is added for each field that is visited.
struct Json(String);

impl Json {
    fn name(&mut self, field: &Field) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.text(field.name().trim_start_matches("r#"));
        self.0.push(':');
    }

    fn text(&mut self, text: &str) {
        self.0.push('"');
        self.escaped(text);
        self.0.push('"');
    }

    /// Appends text inside a JSON string.
    fn escaped(&mut self, text: &str) {
        // Without an early end the compiler checks many bytes with one instruction.
        if !text.bytes().fold(false, |any, byte| any | is_special(byte)) {
            self.0.push_str(text);
            return;
        }
        for character in text.chars() {
            match u8::try_from(character).ok().filter(|byte| is_special(*byte)) {
                // Writing to a string does not fail.
                Some(byte) => drop(write!(self.0, "\\u{byte:04x}")),
                None => self.0.push(character),
            }
        }
    }

    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        // Writing to a string does not fail.
        let _ = write!(self.0, "{value}");
    }
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Formats into a JSON string.
impl Write for Json {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.escaped(text);
        Ok(())
    }
}

impl Visit for Json {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has finite numbers only.
        if value.is_finite() { self.number(field, value) } else { self.number(field, "null") }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.text(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push('"');
        // A `Debug` that fails leaves the text that it has written.
        let _ = write!(self, "{value:?}");
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    /// The written fields of a span, parsed by `serde_json`.
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
        let found = written(|| {
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
        let expected = serde_json::json!({
            "path": path, "n": -7, "u": u64::MAX, "b": true, "f": 1.5, "nan": null, "d": "\"q\\\"\"", "type": "x"
        });
        assert_eq!(found, expected);
        assert_eq!(written(|| tracing::info_span!("none")), serde_json::json!({}));
    }

    #[test]
    fn fields_that_are_recorded_later_are_appended() {
        let found = written(|| {
            let span = tracing::info_span!("a", status = tracing::field::Empty, retries = tracing::field::Empty);
            span.record("status", 200);
            span.record("retries", "none");
            span
        });
        assert_eq!(found, serde_json::json!({"status": 200, "retries": "none"}));
    }
}
