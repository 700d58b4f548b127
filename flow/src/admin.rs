//! The function of runs for people and tools: it lists runs, shows them, and changes them.

use isobar_abstraction::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::row::RunId;
use crate::runs::Runs;

/// The longest page of a list.
const PAGE: usize = 100;

/// A call of the function, in JSON: `{"get": {"run": "order/7"}}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AdminRequest {
    /// The workflows of the app, and their versions.
    Workflows {},
    List {
        workflow: String,
        #[serde(default)]
        limit: Option<usize>,
        /// The last run of the page before.
        #[serde(default)]
        after: Option<String>,
    },
    Get {
        run: String,
    },
    History {
        run: String,
    },
    Export {
        run: String,
    },
    Cancel {
        run: String,
        reason: String,
    },
    Resume {
        run: String,
    },
    Start {
        run: String,
        input: Value,
    },
    Signal {
        run: String,
        event: String,
        id: String,
        body: Value,
    },
}

/// Answers a call. Errors: those of the methods of [`Runs`]; `NotFound` for a run that does not exist.
pub(crate) async fn answer(runs: &Runs, workflows: Value, request: AdminRequest) -> Result<Value> {
    let id = |run: &str| run.parse::<RunId>();
    let missing = |run: &str| Error::not_found(format!("there is no run {run}; it may not have begun"));
    Ok(match request {
        AdminRequest::Workflows {} => workflows,
        AdminRequest::List { workflow, limit, after } => {
            let after = match after {
                Some(run) => Some(runs.get(&id(&run)?).await?.ok_or_else(|| missing(&run))?),
                None => None,
            };
            serde_json::to_value(runs.list(&workflow, limit.unwrap_or(PAGE).min(PAGE), after.as_ref()).await?)?
        }
        AdminRequest::Get { run } => {
            let status = runs.get(&id(&run)?).await?.ok_or_else(|| missing(&run))?;
            serde_json::to_value(status)?
        }
        AdminRequest::History { run } => {
            let id = id(&run)?;
            runs.get(&id).await?.ok_or_else(|| missing(&run))?;
            serde_json::to_value(runs.history(&id).await?)?
        }
        AdminRequest::Export { run } => {
            let history = runs.export(&id(&run)?).await?.ok_or_else(|| missing(&run))?;
            serde_json::to_value(history)?
        }
        AdminRequest::Cancel { run, reason } => {
            let id = id(&run)?;
            runs.get(&id).await?.ok_or_else(|| missing(&run))?;
            runs.cancel(&id, &reason).await?;
            Value::Null
        }
        AdminRequest::Resume { run } => {
            runs.resume(&id(&run)?).await?;
            Value::Null
        }
        AdminRequest::Start { run, input } => {
            let id = id(&run)?;
            serde_json::to_value(runs.start(id.workflow(), id.id(), &input).await?)?
        }
        AdminRequest::Signal { run, event, id: event_id, body } => {
            runs.signal(&id(&run)?, &event, &event_id, &body).await?;
            Value::Null
        }
    })
}
