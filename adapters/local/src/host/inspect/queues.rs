//! What waits in the queues of topics, buckets and tables, and their dead letters.

use std::sync::Arc;

use axum::extract::{Path, State};
use isobar_abstraction::clock::to_rfc3339;
use isobar_abstraction::driver::pub_sub::{DeadLetter, Message};
use isobar_abstraction::driver::{ResourceKind, host};
use isobar_abstraction::{Error, EventQueue};
use serde_json::{Value, json};

use super::items::{preview, readable};
use super::{Answer, Indented, Inspector, Parameters};
use crate::history::hex;
use crate::pub_sub::Waiting;

pub(super) async fn messages(
    State(inspector): State<Arc<Inspector>>,
    Path(topic): Path<String>,
    parameters: Parameters,
) -> Answer {
    let queue = inspector.queue(ResourceKind::Topic, &topic, &parameters)?;
    waiting(&inspector, &queue, parameters.limit(), |object, body| object["body"] = readable(body))
}

/// The same for all kinds of sources, with the beginning of each body.
pub(super) async fn queue(
    State(inspector): State<Arc<Inspector>>,
    Path((kind, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let queue = inspector.queue(kind_of(&kind)?, &name, &parameters)?;
    waiting(&inspector, &queue, parameters.limit(), preview)
}

fn waiting(inspector: &Inspector, of: &EventQueue, limit: usize, show: fn(&mut Value, &[u8])) -> Answer {
    let queue = &inspector.state.queue;
    let counts = queue.counts(of)?;
    let describe = |Waiting { message, due }: Waiting| {
        let Message { id, body, attributes, ordering_key, attempt, published_at, .. } = message;
        let mut object = json!({
            "id": id,
            "attributes": attributes,
            "ordering_key": ordering_key,
            "attempt": attempt,
            "published_at": to_rfc3339(published_at),
            "due": due.map(to_rfc3339),
        });
        show(&mut object, &body);
        object
    };
    let messages: Vec<_> = queue.peek(of, limit)?.into_iter().map(describe).collect();
    Ok(Indented(json!({
        "waiting": counts.waiting, "running": counts.leased, "dead": counts.dead, "messages": messages,
    })))
}

pub(super) async fn dead_letters(
    State(inspector): State<Arc<Inspector>>,
    Path((kind, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let queue = inspector.queue(kind_of(&kind)?, &name, &parameters)?;
    let after = parameters.after.as_deref().map(str::parse::<u64>).transpose();
    let after = after.map_err(|_| Error::invalid_input("`after` is not the id of a dead letter"))?;
    let dead_letters = inspector.state.queue.dead_letters(&queue, after, parameters.limit())?;
    let describe = |dead_letter: &DeadLetter| {
        json!({
            "id": dead_letter.id,
            "attempts": dead_letter.attempts,
            "reason": dead_letter.reason,
            "died_at": to_rfc3339(dead_letter.died_at),
            "body": String::from_utf8_lossy(&dead_letter.body),
            "body_hex": std::str::from_utf8(&dead_letter.body).is_err().then(|| hex(&dead_letter.body)),
            "attributes": dead_letter.attributes,
        })
    };
    Ok(Indented(json!({"dead_letters": dead_letters.iter().map(describe).collect::<Vec<_>>()})))
}

pub(super) fn kind_of(kind: &str) -> Result<ResourceKind, Error> {
    match kind {
        "topics" => Ok(ResourceKind::Topic),
        "buckets" => Ok(ResourceKind::Bucket),
        "tables" => Ok(ResourceKind::Table),
        other => {
            let other = host::excerpt(other);
            Err(Error::not_found(format!("`{other}` has no dead letters; use `topics`, `buckets` or `tables`")))
        }
    }
}
