//! What the command prints: data on stdout, all else on stderr.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const STEP: Style = AnsiColor::Green.on_default().bold();
const HEAD: Style = Style::new().bold();

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Color {
    /// In a terminal, unless `NO_COLOR` is set
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
        let _ = writeln!(anstream::stdout(), "{text}");
    }

    /// Prints a document.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value);
        self.line(&text.map_err(|error| Failure::new("the answer is not JSON").because(&error))?);
        Ok(())
    }

    /// Prints a table with aligned columns.
    pub(crate) fn table<const N: usize>(&self, head: [&str; N], rows: &[[String; N]]) {
        let widths: [usize; N] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([head[column].len()]).max().unwrap_or_default()
        });
        let line = |cells: [&str; N]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.line(&format!("{HEAD}{}{HEAD:#}", line(head)));
        for row in rows {
            self.line(&line(std::array::from_fn(|column| row[column].as_str())));
        }
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
