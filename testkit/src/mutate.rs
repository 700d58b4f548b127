use std::fmt::{self, Debug, Write};
use std::ops::Range;

use fastrand::Rng;
use serde_json::{Value, json};

const WORDS: &str = "|\u{0}|\r\nx: y|%|%zz|%ff|%2F|%00|\"|\u{fffe}|\u{1f600}|/|//|../..|true|-1|0|3|1.0|{}|[]|aGVsbG8=|aGVsbG8\
    |4294967295|99999999999999999999|2026-13-01T00:00:00Z|+262142-12-31T23:59:59Z|00-0-0-00";

/// A mutated event.
pub struct Mutant {
    /// The body to send.
    pub bytes: Vec<u8>,
    /// Whether the secrets are still in their fields.
    pub in_place: bool,
}

impl Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes).chars().take(20_000).collect::<String>())
    }
}

/// Mutates events, with words that have a meaning for the parser.
#[derive(Debug)]
pub struct Mutator {
    words: Vec<&'static str>,
    names: Vec<&'static str>,
}

impl Mutator {
    /// A mutator with the words and field names of a platform, each list separated by `|`.
    pub fn new(words: &'static str, names: &'static str) -> Self {
        Self { words: WORDS.split('|').chain(words.split('|')).collect(), names: names.split('|').collect() }
    }

    /// A random word.
    pub fn word(&self, rng: &mut Rng) -> &'static str {
        rng.choice(&self.words).unwrap()
    }

    fn name(&self, rng: &mut Rng) -> &'static str {
        rng.choice(&self.names).unwrap()
    }

    /// Makes `changes` changes to a JSON body, and sometimes damages its bytes. Some values are from `others`.
    pub fn mutant(&self, body: &[u8], others: &[Value], changes: Range<usize>, rng: &mut Rng) -> Mutant {
        let mut in_place = true;
        let mut bytes = match serde_json::from_slice(body) {
            Ok(event) => self.changed(event, others, changes, &mut in_place, rng).into_bytes(),
            Err(_) => body.to_vec(),
        };
        if rng.u8(0..3) == 0 {
            (0..rng.usize(1..6)).for_each(|_| damage(&mut bytes, rng));
            in_place = false;
        }
        Mutant { bytes, in_place }
    }

    fn changed(
        &self,
        mut event: Value,
        others: &[Value],
        changes: Range<usize>,
        in_place: &mut bool,
        rng: &mut Rng,
    ) -> String {
        for _ in 0..rng.usize(changes) {
            let node = node(&mut event, rng);
            match rng.u8(0..9) {
                0..4 => self.swap(node, rng),
                4 => remove(node, rng),
                5 => repeat(node, rng),
                6 => self.nest(node, rng),
                7 => self.add(node, rng),
                _ => {
                    let mut other = rng.choice(others).unwrap().clone();
                    *node = self::node(&mut other, rng).take();
                    *in_place = false;
                }
            }
        }
        let mut text = String::new();
        self.write(&event, rng, &mut text);
        text
    }

    /// Another value, of any type.
    fn swap(&self, value: &mut Value, rng: &mut Rng) {
        *value = match rng.u8(0..12) {
            0 => Value::Null,
            1 => json!(rng.bool()),
            2 => json!(rng.i64(..)),
            3 => json!(u64::MAX),
            4 => json!(-0.5e300),
            5 => json!([]),
            6 => json!({}),
            7 => json!([self.word(rng), null, 7]),
            8 => json!({(self.name(rng)): self.word(rng)}),
            9 => json!(self.word(rng).repeat(if rng.u8(0..30) == 0 { 5_000 } else { rng.usize(0..20) })),
            _ => json!(self.word(rng)),
        };
    }

    /// Adds a field with a known name.
    fn add(&self, value: &mut Value, rng: &mut Rng) {
        let name = self.name(rng);
        match value {
            Value::Object(fields) => self.swap(fields.entry(name).or_insert(Value::Null), rng),
            other => *other = json!({(name): other.take()}),
        }
    }

    /// Nests a value some levels deeper.
    fn nest(&self, value: &mut Value, rng: &mut Rng) {
        for _ in 0..rng.usize(1..200) {
            *value = if rng.bool() { json!([value.take()]) } else { json!({(self.name(rng)): value.take()}) };
        }
    }

    /// Writes JSON with an occasional duplicate name, or a value deeper than parsers accept.
    fn write(&self, value: &Value, rng: &mut Rng, text: &mut String) {
        match value {
            _ if rng.u16(0..2_000) == 0 => {
                let depth = rng.usize(1..50_000);
                let _ = write!(text, "{}{}", "[".repeat(depth), "]".repeat(depth));
            }
            Value::Object(fields) => {
                text.push('{');
                for (name, value) in fields {
                    if rng.u8(0..40) == 0 {
                        let _ = write!(text, "{}:{},", json!(name), json!(self.word(rng)));
                    }
                    text.push_str(&serde_json::to_string(name).unwrap());
                    text.push(':');
                    self.write(value, rng, text);
                    text.push(',');
                }
                closed(text, '}');
            }
            Value::Array(values) => {
                text.push('[');
                for value in values {
                    self.write(value, rng, text);
                    text.push(',');
                }
                closed(text, ']');
            }
            other => text.push_str(&serde_json::to_string(other).unwrap()),
        }
    }
}

/// A random value in an event, but not the whole event: a body that is no event is rejected early.
fn node<'a>(event: &'a mut Value, rng: &mut Rng) -> &'a mut Value {
    if event.as_object().is_none_or(serde_json::Map::is_empty) {
        return below(event, rng);
    }
    let fields = event.as_object_mut().unwrap();
    let place = rng.usize(0..fields.len());
    below(fields.values_mut().nth(place).unwrap(), rng)
}

fn below<'a>(value: &'a mut Value, rng: &mut Rng) -> &'a mut Value {
    let size = match value {
        Value::Object(fields) => fields.len(),
        Value::Array(values) => values.len(),
        _ => 0,
    };
    if size == 0 || rng.u8(0..5) == 0 {
        return value;
    }
    let place = rng.usize(0..size);
    let child = match value {
        Value::Object(fields) => fields.values_mut().nth(place),
        Value::Array(values) => values.get_mut(place),
        _ => None,
    };
    below(child.unwrap(), rng)
}

fn remove(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let name = fields.keys().nth(rng.usize(0..fields.len())).cloned();
            name.and_then(|name| fields.remove(&name));
        }
        Value::Array(values) if !values.is_empty() => drop(values.remove(rng.usize(0..values.len()))),
        other => *other = Value::Null,
    }
}

/// Repeats an element, or replaces a value by an array of two.
fn repeat(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Array(values) if !values.is_empty() => {
            let value = values[rng.usize(0..values.len())].clone();
            values.extend(std::iter::repeat_n(value, rng.usize(1..30)));
        }
        other => *other = json!([other.clone(), other.clone()]),
    }
}

fn closed(text: &mut String, end: char) {
    if text.ends_with(',') {
        text.pop();
    }
    text.push(end);
}

/// Damages bytes, as networks and disks do.
fn damage(event: &mut Vec<u8>, rng: &mut Rng) {
    if event.is_empty() {
        return event.push(rng.u8(..));
    }
    let place = rng.usize(0..event.len());
    match rng.u8(0..6) {
        0 => event[place] ^= 1 << rng.u8(0..8),
        1 => event[place] = rng.u8(..),
        2 => event.truncate(place),
        3 => drop(event.remove(place)),
        4 => event.insert(place, *rng.choice(b"{}[]\",:\\\0\xff\xc30e-").unwrap()),
        _ => {
            let end = (place + rng.usize(0..64)).min(event.len());
            let slice = event[place..end].to_vec();
            let at = rng.usize(0..event.len());
            event.splice(at..at, slice);
        }
    }
}
