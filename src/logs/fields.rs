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

/// Room for the fields of most spans: text that grows into its place is copied time and again.
const USUAL: usize = 256;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut json = Json(String::with_capacity(USUAL));
        json.0.push('{');
        fields.record(&mut json);
        json.0.push('}');
        writer.write_str(&json.0)
    }

    /// A field that is recorded later comes behind the others.
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

    /// Text within a string of JSON.
    fn escaped(&mut self, text: &str) {
        // Looks at all bytes, whatever they are: the compiler takes many at once then.
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

/// What is formatted into a string of JSON.
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
        // JSON has no other numbers.
        if value.is_finite() { self.number(field, value) } else { self.number(field, "null") }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.text(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push('"');
        // One that fails leaves what it has written.
        let _ = write!(self, "{value:?}");
        self.0.push('"');
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
