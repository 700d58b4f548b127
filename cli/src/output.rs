//! What the command prints: data on stdout, all else on stderr.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::config;
use crate::failure::Failure;
use crate::table;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const STEP: Style = AnsiColor::Green.on_default().bold();
const HEAD: Style = Style::new().bold();

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The two streams of the command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    pub(crate) fn new(color: Color, json: bool) -> Self {
        match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Self { json }
    }

    /// Prints a line of data. A reader that has closed the pipe, such as `head`, is not a failure.
    pub(crate) fn line(&self, text: &str) {
        self.written(writeln!(anstream::stdout(), "{text}"));
    }

    /// Ends the process if data could not be written: what follows would be incomplete too.
    fn written(&self, result: std::io::Result<()>) {
        if let Err(error) = result.and_then(|()| std::io::stdout().flush())
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            self.failure(&Failure::new("standard output cannot be written").because(&error));
            std::process::exit(1);
        }
    }

    /// Prints a document.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value);
        self.line(&text.map_err(|error| Failure::new("the answer is not JSON").because(&error))?);
        Ok(())
    }

    /// Prints the answer of an app without a change, but JSON on lines of its own in a terminal.
    pub(crate) fn answer(&self, answer: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        let is_json = serde_json::from_slice::<IgnoredAny>(answer).is_ok();
        let text = match std::str::from_utf8(answer) {
            Ok(text) if is_json && !self.json && stdout.is_terminal() => Cow::Owned(indented(text).into_bytes()),
            _ => Cow::Borrowed(answer),
        };
        let end: &[u8] = if text.ends_with(b"\n") { b"" } else { b"\n" };
        let result = stdout.write_all(&text).and_then(|()| stdout.write_all(end));
        drop(stdout);
        self.written(result);
    }

    /// Prints a line that is no data.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Prints what may be a mistake.
    pub(crate) fn warning(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{WARNING}warning{WARNING:#}: {text}");
    }

    /// Prints a table with aligned columns, no wider than the terminal.
    pub(crate) fn table<const N: usize>(&self, head: [&str; N], rows: &[[String; N]]) {
        let rows: Vec<_> = rows.iter().map(|row| row.to_vec()).collect();
        self.grid(&head, &rows);
    }

    /// [`table`](Self::table) for columns whose number is not known before.
    pub(crate) fn grid(&self, head: &[&str], rows: &[Vec<String>]) {
        let lines = table::lines(head, rows, self.width());
        // A wrapped head has several lines, which no head of this command needs.
        for (number, line) in lines.iter().enumerate() {
            match number {
                0 => self.heading(line),
                _ => self.line(line),
            }
        }
    }

    /// Prints a line that begins a part of the data.
    pub(crate) fn heading(&self, text: &str) {
        self.line(&format!("{HEAD}{text}{HEAD:#}"));
    }

    /// The columns of the terminal; no limit in a pipe.
    #[expect(clippy::unused_self, reason = "the width of the stream that this writes")]
    pub(crate) fn width(&self) -> usize {
        let terminal = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0.into());
        config::columns().or_else(terminal).unwrap_or(usize::MAX)
    }

    /// Prints a step of the work, such as `Building demo`.
    pub(crate) fn step(&self, verb: &str, text: &str) {
        let _ = writeln!(anstream::stderr(), "{STEP}{verb:>12}{STEP:#} {text}");
    }

    /// Prints why a command ends.
    pub(crate) fn failure(&self, failure: &Failure) {
        let mut stderr = anstream::stderr();
        let _ = writeln!(stderr, "{ERROR}error{ERROR:#}: {failure}");
        for cause in failure.causes() {
            let _ = writeln!(stderr, "  because: {cause}");
        }
        if let Some(hint) = failure.next_step() {
            let _ = writeln!(stderr, "{HINT}hint{HINT:#}: {hint}");
        }
    }
}

/// Valid JSON with a line for each value. The order of the fields and the numbers stay as they are.
fn indented(json: &str) -> String {
    let (mut text, mut depth, mut rest) = (String::new(), 0_usize, json.trim());
    while !rest.is_empty() {
        let (token, after) = rest.split_at(token_length(rest));
        rest = after.trim_start();
        text.push_str(token);
        let is_last = rest.starts_with(['}', ']']);
        depth = match token {
            "{" | "[" if !is_last => depth + 1,
            "{" | "[" => continue,
            "," => depth,
            _ if is_last => depth.saturating_sub(1),
            _ => {
                text.push_str(if token == ":" { " " } else { "" });
                continue;
            }
        };
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    }
    text
}

/// The length of the first token.
fn token_length(json: &str) -> usize {
    let mut is_escaped = false;
    let ends_string = |&(_, it): &(usize, char)| {
        let ends = it == '"' && !is_escaped;
        is_escaped = it == '\\' && !is_escaped;
        ends
    };
    let is_mark = |it: char| "{}[],:".contains(it);
    match json.starts_with('"') {
        true => json.char_indices().skip(1).find(ends_string).map_or(json.len(), |(at, _)| at + 1),
        false if json.starts_with(is_mark) => 1,
        false => json.find(|it: char| is_mark(it) || it.is_ascii_whitespace()).unwrap_or(json.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_without_another_change() {
        let json = r#"{"b":[1.50,{}, [ ] ],"a":"x\"{,:","n":12345678901234567890123}"#;
        let expected = "{\n  \"b\": [\n    1.50,\n    {},\n    []\n  ],\n  \"a\": \"x\\\"{,:\",\n  \"n\": 12345678901234567890123\n}";
        assert_eq!(indented(json), expected);
        assert_eq!(indented(&indented(json)), expected);
    }
}
