//! [`Finding`]: one result of `isobar check`.

use anstyle::{AnsiColor, Style};
use isobar::Error;
use serde::Serialize;

use super::{Deployed, Target};
use crate::output::Output;
use crate::table::wrap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// The app cannot run there, or a part of it.
    Error,
    /// It runs, and differs from the portable contract.
    Note,
}

/// A problem, or a difference.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) target: Target,
    /// The resources or triggers, such as ``table `links` ``.
    pub(super) of: Vec<String>,
    pub(super) what: String,
    /// How the platform keeps the guarantee of the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// The row of `mappings.md`.
    pub(super) row: &'static str,
}

impl Finding {
    pub(super) fn error(deployed: &Deployed, of: &str, row: &'static str, error: &Error) -> Self {
        let message = error.message();
        // The start of an app lists its problems below a line.
        let message = message.split_once("\n  - ").map_or(message, |(_, problem)| problem);
        let message = message.trim_start_matches(&format!("{of}: "));
        let finding = Self::note(deployed, of, row, message);
        // The other rows of errors are those of names, which the notes do not explain.
        let why = finding.why.filter(|_| ["BL-14", "BL-24", "KV-26", "PS-15"].contains(&row));
        Self { level: Level::Error, why, ..finding }
    }

    /// A note. Its text may end with the next step.
    pub(super) fn note(deployed: &Deployed, of: &str, row: &'static str, text: &str) -> Self {
        let (what, action) = divided(text);
        let notes = deployed.provider.profile().notes;
        let why = notes.iter().find(|(of, _)| *of == row).map(|(_, note)| *note);
        let (of, what, action) = (vec![of.to_owned()], what.to_owned(), action.map(str::to_owned));
        Self { level: Level::Note, target: deployed.target, of, what, why, action, row }
    }

    /// A note about stored data.
    pub(super) fn of_data(
        target: Target,
        of: impl IntoIterator<Item = String>,
        row: &'static str,
        what: &str,
        action: &str,
    ) -> Self {
        let (of, what, action) = (of.into_iter().collect(), what.to_owned(), Some(action.to_owned()));
        Self { level: Level::Note, target, of, what, why: None, action, row }
    }

    fn is_same(&self, other: &Self) -> bool {
        let parts = |it: &Self| (it.level, it.row, it.why);
        parts(self) == parts(other) && (&self.of, &self.what, &self.action) == (&other.of, &other.what, &other.action)
    }

    fn print(&self, targets: &[&str], output: &Output) {
        let (word, color) = match self.level {
            Level::Error => ("error", AnsiColor::Red),
            Level::Note => ("note", AnsiColor::Cyan),
        };
        let (style, row) = (Style::new().bold().fg_color(Some(color.into())), self.row);
        let plain = format!("{word}[{row}] {}: {}", targets.join(", "), names(&self.of));
        for (number, line) in wrap(&plain, output.width()).iter().enumerate() {
            match line.strip_prefix(word).filter(|_| number == 0) {
                Some(rest) => output.line(&format!("{style}{word}{style:#}{rest}")),
                None => output.line(&format!("  {line}")),
            }
        }
        let parts = [("", Some(self.what.as_str())), ("why: ", self.why), ("do:  ", self.action.as_deref())];
        for (name, text) in parts {
            let lines = text.map(|text| wrap(&format!("  {name}{text}"), output.width()));
            lines.iter().flatten().for_each(|line| output.line(line));
        }
    }
}

/// A next step begins with one of these.
const STEPS: [&str; 18] = [
    "add",
    "choose",
    "configure",
    "correct",
    "free",
    "give",
    "keep",
    "make",
    "move",
    "place",
    "put",
    "remove",
    "restore",
    "run",
    "set",
    "start",
    "update",
    "use",
];

/// A text without its next step, and the step: the part behind a `; ` or a `: ` that begins with a verb.
pub(super) fn divided(text: &str) -> (&str, Option<&str>) {
    let is_step =
        |step: &str| STEPS.iter().any(|verb| step.strip_prefix(verb).is_some_and(|rest| rest.starts_with(' ')));
    let places = text.match_indices([';', ':']).map(|(at, _)| (&text[..at], text[at + 1..].trim_start()));
    places.into_iter().find(|(_, step)| is_step(step)).map_or((text, None), |(what, step)| (what, Some(step)))
}

/// Names with each kind once: ``table `a`, `b` ``.
fn names(labels: &[String]) -> String {
    let mut names = String::new();
    let mut kind_before = None;
    for label in labels {
        let is_short = label.matches('`').count() == 2 && label.ends_with('`');
        let kind = label.split_once(" `").map(|(kind, _)| kind).filter(|_| is_short);
        let name = match kind {
            Some(kind) if kind_before == Some(kind) => &label[kind.len() + 1..],
            _ => label,
        };
        names.push_str(if names.is_empty() { "" } else { ", " });
        names.push_str(name);
        kind_before = kind;
    }
    names
}

/// Prints each finding one time for all platforms that have it. Returns the numbers of errors and notes.
pub(super) fn print(findings: &[Finding], output: &Output) -> (usize, usize) {
    let (mut errors, mut notes) = (0, 0);
    for (place, finding) in findings.iter().enumerate() {
        if findings[..place].iter().any(|before| before.is_same(finding)) {
            continue;
        }
        let same = findings[place..].iter().filter(|other| other.is_same(finding));
        finding.print(&same.map(|it| it.target.name()).collect::<Vec<_>>(), output);
        *(if finding.level == Level::Error { &mut errors } else { &mut notes }) += 1;
    }
    (errors, notes)
}

/// Errors first, and one finding for all parts of the app with the same.
pub(super) fn grouped(findings: impl Iterator<Item = Finding>) -> Vec<Finding> {
    let mut groups: Vec<Finding> = Vec::new();
    for mut finding in findings {
        let is_same = |it: &&mut Finding| {
            let texts = (&it.what, &it.action) == (&finding.what, &finding.action);
            texts && (it.level, it.target, it.row) == (finding.level, finding.target, finding.row)
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.of.append(&mut finding.of),
            None => groups.push(finding),
        }
    }
    groups.sort_by_key(|finding| finding.level);
    groups
}
