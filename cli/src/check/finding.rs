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

    /// A note. The next step follows the first `; ` or the last `: ` of the text.
    pub(super) fn note(deployed: &Deployed, of: &str, row: &'static str, text: &str) -> Self {
        let divided = text.split_once("; ").or_else(|| text.rsplit_once(": "));
        let (what, action) = divided.map_or((text, None), |(what, action)| (what, Some(action.to_owned())));
        let notes = deployed.provider.profile().notes;
        let why = notes.iter().find(|(of, _)| *of == row).map(|(_, note)| *note);
        let (of, what) = (vec![of.to_owned()], what.to_owned());
        Self { level: Level::Note, target: deployed.target, of, what, why, action, row }
    }

    pub(super) fn print(&self, output: &Output) {
        let (word, color) = match self.level {
            Level::Error => ("error", AnsiColor::Red),
            Level::Note => ("note", AnsiColor::Cyan),
        };
        let (style, target, row) = (Style::new().bold().fg_color(Some(color.into())), self.target.name(), self.row);
        let plain = format!("{word}[{row}] {target}: {}", self.of.join(", "));
        for (number, line) in wrap(&plain, output.width()).iter().enumerate() {
            match line.strip_prefix(word).filter(|_| number == 0) {
                Some(rest) => output.line(&format!("{style}{word}{style:#}{rest}")),
                None => output.line(&format!("  {line}")),
            }
        }
        let parts = [Some(("", self.what.as_str())), self.why.map(|why| ("why: ", why))];
        let action = self.action.as_deref().map(|action| ("do: ", action));
        for (name, text) in parts.into_iter().chain([action]).flatten() {
            let lines = wrap(&format!("  {name}{text}"), output.width());
            lines.iter().for_each(|line| output.line(line));
        }
    }
}

/// Errors first, and one finding for all parts of the app with the same.
pub(super) fn grouped(findings: Vec<Finding>) -> Vec<Finding> {
    let mut groups: Vec<Finding> = Vec::new();
    for mut finding in findings {
        let is_same = |it: &&mut Finding| {
            (it.level, it.target, it.row, &it.what) == (finding.level, finding.target, finding.row, &finding.what)
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.of.append(&mut finding.of),
            None => groups.push(finding),
        }
    }
    groups.sort_by_key(|finding| finding.level);
    groups
}
