//! placeholder: the helper `pubsub` replaces this file.

use isobar_abstraction::{Location, Outcome};

use super::wire::Arrived;
use crate::State;

/// What the platform is told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is done with: answer 2xx.
    Done,
    /// It is to come again as it is: answer 500.
    Again,
}

/// placeholder: nothing can be kept, so nothing but an `Ack` is done with.
pub(crate) async fn settle(
    state: &State,
    at: &Location,
    arrived: &Arrived,
    outcome: Outcome,
    attempt: u32,
    max_attempts: u32,
) -> Settled {
    let _ = (state, at, &arrived.message, attempt, max_attempts);
    if outcome == Outcome::Ack { Settled::Done } else { Settled::Again }
}
