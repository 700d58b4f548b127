//! The dead letters of a stage, by the services of its cloud.

use std::collections::BTreeSet;
use std::sync::Arc;

use isobar::EventQueue;
use isobar::driver::ResourceKind;
use isobar::driver::pub_sub::{Backlog, BacklogMessage, dead_letters, discard, redrive};
use serde_json::{Value, json};

use super::{Change, Found, check_one};
use crate::call::names::unknown;
use crate::deploy::{self, FolderArgs};
use crate::failure::Failure;
use crate::output::Output;

/// The most dead letters of a queue that are printed.
const LISTED: usize = 1_000;

/// A queue of the stage, by its label.
type Queue = (String, Arc<dyn Backlog>);

pub(super) async fn list(folder: &FolderArgs, queue: Option<&str>, output: &Output) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for (label, backlog) in queues(folder, queue, output).await? {
        let dead = dead_letters(&*backlog, LISTED).await?;
        found.extend(dead.into_iter().map(|it| (label.clone(), as_json(it))));
    }
    Ok(found)
}

pub(super) async fn change(
    folder: &FolderArgs,
    queue: Option<&str>,
    ids: &[String],
    change: Change,
    output: &Output,
) -> Result<Vec<(String, u64)>, Failure> {
    let queues = queues(folder, queue, output).await?;
    let labels: Vec<String> = queues.iter().map(|(label, _)| label.clone()).collect();
    check_one(queue, ids, &labels)?;
    let ids: Option<BTreeSet<String>> = (!ids.is_empty()).then(|| ids.iter().cloned().collect());
    let mut counts = Vec::new();
    for (label, backlog) in queues {
        let count = match change {
            Change::Redrive => redrive(&*backlog, ids.as_ref()).await?,
            Change::Drop => discard(&*backlog, ids.as_ref()).await?,
        };
        counts.push((label, count as u64));
    }
    Ok(counts)
}

/// The queues of a name, or all.
async fn queues(folder: &FolderArgs, name: Option<&str>, output: &Output) -> Result<Vec<Queue>, Failure> {
    let missing = || Failure::new(format!("there is no folder of {}", folder.name())).hint("isobar deploy");
    let manifest = deploy::manifest_of(folder)?.ok_or_else(missing)?;
    let all: Vec<EventQueue> = manifest.queues().map(|(queue, _)| queue).collect();
    let is_selected = |queue: &&EventQueue| name.is_none_or(|name| queue.source() == name || label(queue) == name);
    let selected: Vec<&EventQueue> = all.iter().filter(is_selected).collect();
    if let (Some(name), true) = (name, selected.is_empty()) {
        let known: Vec<String> = all.iter().map(label).collect();
        return Err(unknown(&manifest.app, "queue", name, &known.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    let services = deploy::services(folder, &manifest.app, output).await?;
    let open = |queue: &EventQueue| Ok((label(queue), services.provider.backlog(queue)?));
    selected.into_iter().map(open).collect()
}

/// The name of a queue, as `isobar dead-letters` prints it.
fn label(queue: &EventQueue) -> String {
    match queue.is_default() || queue.kind() == ResourceKind::Table {
        true => queue.source().to_owned(),
        false => format!("{}/{}", queue.source(), queue.name()),
    }
}

/// A dead letter in the form of that of the local app.
fn as_json(message: BacklogMessage) -> Value {
    let dead = message.into_dead_letter();
    let body = String::from_utf8_lossy(&dead.body);
    json!({
        "id": dead.id,
        "attempts": dead.attempts,
        "died_at": isobar::clock::to_rfc3339(dead.died_at),
        "reason": dead.reason,
        "attributes": dead.attributes,
        "body": body,
    })
}
