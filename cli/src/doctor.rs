//! `isobar doctor`: what is installed, what is missing, and whether the local data are whole.

mod data;
mod tool;

use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    Missing,
    Old,
    Wrong,
}

/// The state of a tool or of a file.
#[derive(Debug, Serialize)]
struct Part {
    /// What needs it.
    purpose: &'static str,
    name: String,
    state: State,
    /// The version, or a description.
    found: String,
    /// Does local development need it?
    required: bool,
    /// The command that installs or corrects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
}

pub(crate) fn run(output: &Output) -> Result<ExitCode, Failure> {
    let mut parts = tool::all();
    parts.extend(data::all()?);
    let failed = parts.iter().any(|part| part.required && part.state != State::Good);
    if output.json {
        output.document(&json!({"good": !failed, "parts": parts}))?;
    } else {
        print(&parts, output);
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(parts: &[Part], output: &Output) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut purpose = "";
    for part in parts {
        if part.purpose != purpose {
            purpose = part.purpose;
            rows.push(vec![purpose.to_owned()]);
        }
        let found = match part.state {
            State::Old => format!("{}, too old", part.found),
            _ => part.found.clone(),
        };
        rows.push(vec![format!("  {}", part.name), found, part.action.clone().unwrap_or_default()]);
    }
    output.grid(&["for", "found", "to do"], &rows);
}
