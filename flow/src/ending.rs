//! The end of a workflow: its result, its compensations, its next generation, or a stall.

use std::time::Duration;

use isobar_abstraction::key_value::PutMode;
use isobar_abstraction::{Error, Result};
use serde_json::value::RawValue;

use crate::child::workflow_of;
use crate::draft::{Draft, Work};
use crate::message::{CANCEL, Message};
use crate::replay::Prevent;
use crate::row::{
    Attempts, ERROR, Entry, Failure, Head, NO_CALL, OUTPUT, Record, Row, RunState, Stored, Timer, TimerKind, input_sort,
};
use crate::running::Running;
use crate::store::{decode, encode, millis};
use crate::turn::{BATCH, End, Next, Turn};

/// How long a service may deliver a copy of a message.
const EVENT_COPIES: Duration = Duration::from_secs(14 * 24 * 3_600);

impl Turn<'_> {
    /// The workflow has returned: ends the run, or begins its compensations or its next generation.
    pub(crate) async fn end_workflow(
        &mut self,
        running: &mut Running,
        entries: &mut Vec<Entry>,
        attempts: &mut Vec<Attempts>,
    ) -> Result<Next> {
        let Some(output) = running.output.clone() else { return Ok(Next::Go) };
        // It remains there: an event that arrives now lets this run again.
        let input = running.state(|state| state.next_input.clone());
        match (output, running.end.clone(), input) {
            (Err(error), Some(_), _) => self.stall(error.message().to_owned()).await.map(Next::End),
            (Ok(_), Some(Record::Cancelled(reason)), _) => {
                let failure = Failure::of(&Error::conflict(format!("the run was cancelled: {reason}")));
                self.finish(running, RunState::Cancelled, Err(failure)).await
            }
            (Ok(_), Some(Record::Error(failure)), _) => self.finish(running, RunState::Failed, Err(failure)).await,
            (Ok(_), Some(_), _) => Err(Error::internal("bug in isobar: a run ended by another record")),
            (Err(_), None, Some(input)) => self.next_generation(running, input).await,
            (Err(error), None, None) => {
                let failure = Failure::of(&error);
                let (is_undone, open) = running.state(|state| (!state.undo.is_empty(), state.open_applies()));
                if !is_undone && open.is_empty() {
                    return self.finish(running, RunState::Failed, Err(failure)).await;
                }
                self.prevent(running, open).await?;
                self.end_by(running, entries, attempts, Record::Error(failure)).await
            }
            (Ok(json), None, _) => {
                let open = running.state(|state| state.open_applies());
                self.prevent(running, open).await?;
                match self.store.save(&self.run, json).await {
                    Ok(stored) => self.finish(running, RunState::Done, Ok(stored)).await,
                    // A result that is too large is an error of the workflow; any other error is one of the service.
                    Err(error) if error.limit().is_some() => {
                        running.output = Some(Err(error));
                        Ok(Next::Go)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Ends a workflow that is cancelled. No call runs, and the results of those that ran are stored.
    pub(crate) async fn cancel(
        &mut self,
        running: &mut Running,
        entries: &mut Vec<Entry>,
        attempts: &mut Vec<Attempts>,
    ) -> Result<Next> {
        let (reason, open, children) =
            running.state(|state| (state.cancel_reason(), state.open_applies(), state.open_children()));
        self.prevent(running, open).await?;
        for (index, path) in children {
            let Some(workflow) = workflow_of(&path) else { continue };
            let child = running.flow().child_id(workflow, index)?;
            let body = Stored::Json(encode(&"its parent was cancelled")?);
            let cancel = Message::Event { run: child, name: CANCEL.to_owned(), id: "parent".to_owned(), body };
            self.store.publish(cancel, Duration::ZERO).await?;
        }
        let reason = match reason {
            Some(stored) => {
                let json = self.store.load(&stored).await?;
                decode::<String>(&json, "the reason of a cancellation").unwrap_or_default()
            }
            None => String::new(),
        };
        self.end_by(running, entries, attempts, Record::Cancelled(reason)).await
    }

    /// Prevents the writes of each `apply` that has begun and has no result, or records that they are made: a worker that was
    /// slow may be about to make them.
    async fn prevent(&self, running: &Running, open: Vec<(u32, Prevent)>) -> Result<()> {
        for (index, prevent) in open {
            let record = match prevent().await? {
                true => crate::apply::done()?,
                false => Record::Error(Failure::of(&Error::conflict("the run ended before the writes"))),
            };
            let began = self.store.now();
            running.state(|state| state.drafts.push(Draft::new(index, began, Work::Record(record))));
        }
        Ok(())
    }

    async fn end_by(
        &mut self,
        running: &mut Running,
        entries: &mut Vec<Entry>,
        attempts: &mut Vec<Attempts>,
        record: Record,
    ) -> Result<Next> {
        let began = self.store.now();
        let work = Work::Record(record);
        running.state(|state| state.drafts.push(Draft::new(NO_CALL, began, work)));
        self.commit(running, entries, attempts).await
    }

    /// Begins the workflow again with another input and an empty journal.
    async fn next_generation(&mut self, running: &Running, input: Box<RawValue>) -> Result<Next> {
        let stored = self.store.save(&self.run, input).await?;
        let old = self.held.head.generation;
        let forgotten = self.old_events(running);
        let head = Head {
            state: RunState::Running,
            generation: old + 1,
            entries: 0,
            forgotten: self.held.head.forgotten + u32::try_from(forgotten.len()).unwrap_or(u32::MAX),
            input: self.held.head.input.clone(),
            ..self.ended(0)
        };
        let rows = vec![(input_sort(old + 1), Row::Value(stored), PutMode::Create)];
        // The timer of the lease holds the run until another turn has begun.
        let (turn, run) = (head.turn, self.run.clone());
        match self.store.write_and_delete(&self.run, Some(&self.held), head, rows, forgotten).await? {
            None => return self.again(running).await,
            Some(held) => self.held = held,
        }
        self.store.delete_generation(&self.run, old).await?;
        self.store.publish(Message::Hint { run, turn, timer: None }, Duration::ZERO).await?;
        Ok(Next::End(End::Short))
    }

    /// Events that the workflow has received, and whose message no service delivers again.
    fn old_events(&self, running: &Running) -> Vec<String> {
        let limit = self.store.now().saturating_sub(millis(EVENT_COPIES));
        running.state(|state| {
            let old = state.events.iter().filter(|(_, event)| event.body.is_none() && event.time < limit);
            old.map(|(sort, _)| sort.clone()).take(BATCH).collect()
        })
    }

    async fn finish(&mut self, running: &Running, state: RunState, output: Result<Stored, Failure>) -> Result<Next> {
        let at = self.store.now().saturating_add(millis(self.retention));
        let timer = Timer::new(&self.run, self.held.head.turn, TimerKind::Purge, at);
        self.store.put_timer(&timer).await?;
        let (sort, stored) = match output {
            Ok(stored) => (OUTPUT, stored),
            Err(failure) => (ERROR, Stored::Json(encode(&failure)?)),
        };
        let head = Head { state, purge: Some(at), ..self.ended(0) };
        let rows = vec![(sort.to_owned(), Row::Value(stored), PutMode::Create)];
        if self.end(head, rows).await? {
            return Ok(Next::End(End::Final));
        }
        self.again(running).await
    }

    /// Ends the turn of a run that cannot go on without a person.
    pub(crate) async fn stall(&mut self, reason: String) -> Result<End> {
        match self.store.stall(&self.run, &self.held, self.ended(0), reason).await? {
            Some(held) => self.held = held,
            // The next turn finds the same.
            None => return Ok(End::Lost),
        }
        for timer in std::mem::take(&mut self.timers) {
            self.store.delete_timer(&timer).await?;
        }
        Ok(End::Stalled)
    }
}
