//! The lines of the logs of a stage.

use serde_json::Value;

/// The most lines of one request: the newest.
pub(super) const MOST: usize = 1000;

/// A line of the log of an app or of its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) id: String,
    /// By RFC 3339.
    pub(super) time: String,
    pub(super) text: String,
}

impl Line {
    /// A line of an app, which is JSON in a cloud, as `cargo run` prints it; another line as it is. Both without control
    /// characters, which would change the terminal.
    pub(super) fn readable(&self) -> String {
        let mut text = String::new();
        for c in self.fields().chars() {
            match c.is_control() {
                true => text.extend(c.escape_default()),
                false => text.push(c),
            }
        }
        text
    }

    fn fields(&self) -> String {
        let text = self.text.trim_end();
        let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else { return text.to_owned() };
        let mut take = |name: &str| fields.remove(name).and_then(|value| value.as_str().map(str::to_owned));
        let (Some(time), Some(level), Some(message)) = (take("timestamp"), take("level"), take("message")) else {
            return text.to_owned();
        };
        let target = take("target").map(|target| format!(" {target}:")).unwrap_or_default();
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!(" {name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        format!("{time} {level:>5}{target} {message}{}", fields.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_app_is_readable_and_cannot_change_the_terminal() {
        let line = |text: &str| Line { id: String::new(), time: String::new(), text: text.to_owned() }.readable();
        let json = r#"{"timestamp":"T","level":"WARN","message":"a\u001b[2J","target":"app","n":1,"user":"ann"}"#;
        assert_eq!(line(json), "T  WARN app: a\\u{1b}[2J n=1 user=ann");
        assert_eq!(line("REPORT \u{7}x\n"), "REPORT \\u{7}x");
        assert_eq!(line(r#"{"other": 1}"#), r#"{"other": 1}"#);
    }
}
