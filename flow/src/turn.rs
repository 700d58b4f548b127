//! A turn: a worker replays a workflow, runs what is not recorded, and commits, until the workflow waits or ends.

use std::time::Duration;

use futures_util::future::{Either, select};
use isobar_abstraction::key_value::PutMode;
use isobar_abstraction::{Error, Result};

use crate::draft::{Draft, Work};
use crate::flow::Inner;
use crate::message::Message;
use crate::replay::{Calls, State};
use crate::row::{
    Attempts, CallKind, Entry, Event, Head, Lease, Record, Row, RunId, RunState, Timer, TimerKind, attempts_sort,
    entry_sort,
};
use crate::running::{Program, Running};
use crate::store::{Held, LEASE, Store, millis};

/// The entries of one commit: with the head and the values they fit a transaction.
pub(crate) const BATCH: usize = 90;

/// The JSON of the values of one commit. In a request it can have twice the size, and a transaction has 2,000,000 bytes.
const BATCH_BYTES: usize = 800_000;

/// The entries of a generation of the journal.
const ENTRIES: u32 = 10_000;

/// The names of events that a head contains, in bytes.
const WAITS_BYTES: usize = 400;

/// The attempts of a write that loses to other writers, or whose service does not answer.
const WRITE_ATTEMPTS: u32 = 20;

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The run is done or failed.
    Final,
    /// The run waits.
    Waiting,
    /// The time of this worker is short: another turn goes on.
    Short,
    /// Another worker has the run.
    Lost,
    /// The run is stalled.
    Stalled,
}

pub(crate) struct Turn<'a> {
    pub(crate) store: &'a Store,
    pub(crate) program: &'a Program,
    pub(crate) run: RunId,
    pub(crate) held: Held,
    /// The timers to delete at the end: that of this lease, and that of the wait before it.
    pub(crate) timers: Vec<Timer>,
    /// When this worker must have ended.
    pub(crate) deadline: Option<u64>,
    /// When the bodies of steps must have ended, so that their results can be stored.
    pub(crate) steps_until: Option<u64>,
    pub(crate) retention: Duration,
    /// Does each commit begin another replay?
    pub(crate) is_strict: bool,
}

/// What a live workflow needs next.
pub(crate) enum Next {
    End(End),
    Go,
    /// The workflow must begin again, for a strict replay.
    Again,
}

impl Turn<'_> {
    /// Runs the workflow to its next wait or its end. Errors: those of the services; the lease is still this worker's then.
    pub(crate) async fn run(&mut self) -> Result<End> {
        let store = self.store;
        let input = store.input(&self.run, &self.held.head).await?;
        let mut entries = store.journal(&self.run, &self.held.head).await?;
        if entries.len() != self.held.head.entries as usize {
            return Err(self.old_read("the journal"));
        }
        let mut attempts = store.attempts(&self.run, &self.held.head).await?;
        loop {
            let mut running = Running::new(self.program, self.flow(&entries, &attempts), input.clone());
            self.load_events(&running).await?;
            running.poll();
            for entry in &entries {
                running.deliver(entry);
            }
            running.state(|state| {
                // A step that would begin now would run after the cancellation.
                state.is_closing = running.end.is_none() && state.is_cancelled();
                state.is_live = true;
            });
            self.close_late(&running);
            running.state(State::wake_all);
            loop {
                match self.live(&mut running, &mut entries, &mut attempts).await? {
                    Next::Go => {}
                    Next::Again => break,
                    Next::End(end) => return Ok(end),
                }
            }
        }
    }

    fn flow(&self, entries: &[Entry], attempts: &[Attempts]) -> Inner {
        let head = &self.held.head;
        Inner {
            run: self.run.clone(),
            incarnation: head.incarnation.clone(),
            calls: Calls::new(entries, attempts, head.created),
            store: self.store.clone(),
            deadline: self.steps_until,
        }
    }

    async fn load_events(&self, running: &Running) -> Result<()> {
        if self.held.head.events > 0 {
            let events = self.store.events(&self.run).await?;
            if events.len() + (self.held.head.forgotten as usize) < self.held.head.events as usize {
                return Err(self.old_read("an event"));
            }
            running.state(|state| state.events = events);
        }
        Ok(())
    }

    /// A read that is older than the head.
    fn old_read(&self, what: &str) -> Error {
        Error::unavailable(format!("{what} of the run {} cannot be read yet, and its head can", self.run))
    }

    fn is_late(&self) -> bool {
        self.steps_until.is_some_and(|until| until <= self.store.now())
    }

    /// Lets no step begin that would have no time. Another turn has some.
    fn close_late(&self, running: &Running) {
        if self.is_late() {
            running.state(|state| state.is_closing = true);
        }
    }

    fn now(&self, running: &Running) -> u64 {
        self.store.now().max(running.state(|state| state.now))
    }

    async fn live(
        &mut self,
        running: &mut Running,
        entries: &mut Vec<Entry>,
        attempts: &mut Vec<Attempts>,
    ) -> Result<Next> {
        self.close_late(running);
        running.poll();
        if let Some(stop) = running.state(|state| state.stop.take()) {
            return self.stall(stop.to_string()).await.map(Next::End);
        }
        if let Some(failure) = running.state(|state| state.failure.take()) {
            return Err(failure);
        }
        if running.output.is_some() {
            return self.end_workflow(running, entries, attempts).await;
        }
        if running.state(|state| state.drafts.iter().any(|draft| !matches!(draft.work, Work::Note(_)))) {
            return self.commit(running, entries, attempts).await;
        }
        let now = self.now(running);
        if running.end.is_none() && running.state(|state| state.is_cancelled()) {
            running.state(|state| state.is_closing = true);
            if running.state(|state| state.active == 0) {
                return self.cancel(running, entries, attempts).await;
            }
        } else if let Some(sleep) = running.state(|state| state.next_sleep(now)) {
            running.state(|state| state.end_sleep(sleep));
            return Ok(Next::Go);
        } else if running.state(|state| state.end_retries(now)) {
            return Ok(Next::Go);
        } else if running.state(|state| state.draft_event(now)) {
            return self.commit(running, entries, attempts).await;
        }
        if self.is_late() && running.state(|state| state.active == 0 && state.has_open()) {
            return self.give_back(running).await;
        }
        let (is_active, is_waiting, next) =
            running.state(|state| (state.active > 0, state.is_waiting(), state.next_time()));
        if !is_active && !is_waiting && running.is_quiet() {
            let stop = "the workflow waits for something outside of a step; do it inside of one".to_owned();
            return self.stall(stop).await.map(Next::End);
        }
        if !is_active && !is_waiting {
            // A task of the runtime may wake the workflow.
            self.store.clock.pause(pause(5)).await;
            return Ok(Next::Go);
        }
        let is_soon = |at: u64| {
            at.saturating_sub(now) <= millis(self.store.in_process)
                && self.deadline.is_none_or(|deadline| at < deadline)
        };
        if !is_active && !next.is_some_and(is_soon) {
            return self.suspend(running, next).await;
        }
        let lease = self.held.head.lease.as_ref().map_or(now, |lease| lease.until);
        let renewal = lease.saturating_sub(millis(LEASE) / 2);
        let until = [Some(renewal), self.deadline, next].into_iter().flatten().min().unwrap_or(renewal);
        let sleep = self.store.clock.sleep(Duration::from_millis(until.saturating_sub(self.store.now())));
        match select(std::pin::pin!(running.woken()), sleep).await {
            Either::Left(_) => Ok(Next::Go),
            Either::Right(_) => self.keep(running, renewal).await,
        }
    }

    /// At a time of the turn itself: renews the lease, or gives it back.
    async fn keep(&mut self, running: &Running, renewal: u64) -> Result<Next> {
        let now = self.store.now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return self.give_back(running).await;
        }
        if now < renewal {
            return Ok(Next::Go);
        }
        let renew = |head: &Head| Head { lease: renewed(head, now, true), updated: now, ..head.clone() };
        Ok(self.write(running, renew, Vec::new()).await?.map_or(Next::End(End::Lost), |()| Next::Go))
    }

    /// Writes until no other writer is faster. `None` if another worker has the run.
    async fn write(
        &mut self,
        running: &Running,
        change: impl Fn(&Head) -> Head,
        rows: Vec<(String, Row, PutMode)>,
    ) -> Result<Option<()>> {
        let (before, after) = (self.held.head.entries, change(&self.held.head).entries);
        for attempt in 0..WRITE_ATTEMPTS {
            let written = self.store.write(&self.run, Some(&self.held), change(&self.held.head), rows.clone()).await;
            match written {
                Ok(Some(held)) => {
                    self.held = held;
                    return Ok(Some(()));
                }
                Ok(None) => {
                    if !self.reload(running).await? {
                        return Ok(None);
                    }
                    // An answer was lost, and the write was not.
                    if after > before && self.held.head.entries == after {
                        return Ok(Some(()));
                    }
                }
                Err(error) if error.is_retryable() && attempt + 1 < WRITE_ATTEMPTS => {}
                Err(error) => return Err(error),
            }
            self.store.clock.pause(pause(attempt)).await;
        }
        Err(Error::unavailable(format!("the run {} changes too often, or its head cannot be read", self.run)))
    }

    /// Reads the head again. `false` if another worker has the run.
    async fn reload(&mut self, running: &Running) -> Result<bool> {
        let Some(found) = self.store.head(&self.run).await? else { return Ok(false) };
        let token = |head: &Head| head.lease.as_ref().map(|lease| lease.token.clone());
        if token(&found.head).is_none() || token(&found.head) != token(&self.held.head) {
            return Ok(false);
        }
        let has_events = found.head.events > self.held.head.events;
        self.held = found;
        if has_events {
            self.load_events(running).await?;
        }
        Ok(true)
    }

    /// Stores the drafts, and delivers their results in the order in which they are stored.
    pub(crate) async fn commit(
        &mut self,
        running: &mut Running,
        entries: &mut Vec<Entry>,
        attempts: &mut Vec<Attempts>,
    ) -> Result<Next> {
        let time = self.now(running);
        let drafts = running.state(|state| {
            let mut bytes = 0;
            let fits = |draft: &&Draft| {
                bytes += draft.bytes();
                bytes <= BATCH_BYTES
            };
            // One draft fits in any case: a value that is larger is an object.
            let count = state.drafts.iter().take(BATCH).take_while(fits).count().max(1).min(state.drafts.len());
            state.drafts.drain(..count).collect::<Vec<_>>()
        });
        let (mut stored, mut rows, mut failed, mut received) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let Head { entries: first, generation, .. } = self.held.head;
        for draft in &drafts {
            let call = running.state(|state| state.kind_and_path(draft.index));
            let (kind, path) = call.unwrap_or((CallKind::End, String::new()));
            let record = match &draft.work {
                Work::Record(record) | Work::Note(record) | Work::Begin(record) => record.clone(),
                // The journal has the event from now on. Its row remains without it, so that a copy of the message finds it.
                Work::Receive(sort, event) => {
                    let Some(body) = event.body.clone() else { continue };
                    let row = Row::Event(Event { body: None, ..event.clone() });
                    rows.push((sort.clone(), row, PutMode::Overwrite));
                    received.push(sort.clone());
                    Record::Value(body)
                }
                Work::Failed { failure, next } => {
                    let row = Attempts { path, count: draft.attempts, next: *next, failure: failure.clone() };
                    rows.push((attempts_sort(generation, draft.index), Row::Attempts(row.clone()), PutMode::Overwrite));
                    failed.push((draft.index, row));
                    continue;
                }
            };
            let number = first + u32::try_from(stored.len()).unwrap_or(u32::MAX);
            let Draft { index, began, attempts, .. } = *draft;
            let entry = Entry { index, kind, path, time, began, attempts, record };
            rows.push((entry_sort(generation, number), Row::Entry(entry.clone()), PutMode::Create));
            stored.push((entry, matches!(draft.work, Work::Begin(_))));
        }
        let (count, now) = (u32::try_from(stored.len()).unwrap_or(u32::MAX), self.store.now());
        if first.saturating_add(count) > ENTRIES {
            let reason = format!(
                "the journal has {ENTRIES} entries; use `continue_with` for a workflow without an end, and children for one with many calls"
            );
            return self.stall(reason).await.map(Next::End);
        }
        let ends = stored.iter().any(|(entry, _)| entry.kind == CallKind::End);
        let change = move |head: &Head| Head {
            state: if ends { RunState::Undoing } else { head.state },
            entries: first + count,
            time: head.time.max(time),
            idle: 0,
            lease: renewed(head, now, false),
            updated: now,
            ..head.clone()
        };
        if self.write(running, change, rows).await?.is_none() {
            return Ok(Next::End(End::Lost));
        }
        running.state(|state| {
            let is_received = |sort: &String| received.contains(sort);
            state.events.iter_mut().filter(|(sort, _)| is_received(sort)).for_each(|(_, event)| event.body = None);
        });
        for (index, row) in failed {
            running.state(|state| {
                state.remember_attempts(row.clone());
                state.open(index);
            });
            attempts.retain(|it| it.path != row.path);
            attempts.push(row);
        }
        // For a strict replay no effect may begin between the deliveries: its result would be dropped.
        running.state(|state| state.is_live = !self.is_strict);
        for (entry, is_begin) in stored {
            running.state(|state| state.remember(&entry));
            running.deliver(&entry);
            if is_begin {
                running.state(|state| state.open(entry.index));
            }
            entries.push(entry);
        }
        if self.is_strict && running.state(|state| state.active == 0 && state.is_idle()) && running.output.is_none() {
            return Ok(Next::Again);
        }
        if self.is_strict {
            running.state(|state| {
                state.is_live = true;
                state.wake_all();
            });
        }
        Ok(Next::Go)
    }

    /// The rows of the notes: records that no commit has written yet.
    fn notes(&self, running: &Running) -> Vec<(String, Row, PutMode)> {
        let Head { entries, generation, .. } = self.held.head;
        let time = self.now(running);
        running.state(|state| {
            let notes = state.drafts.iter().filter_map(|draft| match &draft.work {
                Work::Note(record) => Some((draft, record.clone())),
                _ => None,
            });
            let entry = |(number, (draft, record)): (usize, (&Draft, Record))| {
                let (kind, path) = state.kind_and_path(draft.index)?;
                let entry = Entry { index: draft.index, kind, path, time, began: draft.began, attempts: 1, record };
                let number = entries + u32::try_from(number).unwrap_or(u32::MAX);
                Some((entry_sort(generation, number), Row::Entry(entry), PutMode::Create))
            };
            notes.take(BATCH).enumerate().filter_map(entry).collect()
        })
    }

    /// Ends the turn of a workflow that waits. Goes on if an event has arrived in the meantime.
    async fn suspend(&mut self, running: &Running, wake: Option<u64>) -> Result<Next> {
        let turn = self.held.head.turn;
        let timer = wake.map(|at| Timer::new(&self.run, turn, TimerKind::Wake, at));
        if let Some(timer) = &timer {
            self.store.put_timer(timer).await?;
        }
        let rows = self.notes(running);
        let waits = running.state(|state| state.event_waits().into_iter().map(|(_, name, _)| name).collect());
        let head = Head {
            state: if running.end.is_some() { RunState::Undoing } else { RunState::Waiting },
            wake,
            waits: shortened(waits),
            time: self.held.head.time.max(self.now(running)),
            ..self.ended(rows.len())
        };
        if !self.end(head, rows).await? {
            return self.again(running).await;
        }
        let delay = wake.map(|at| Duration::from_millis(at.saturating_sub(self.store.now())));
        if let Some(delay) = delay.filter(|delay| *delay <= self.store.limits.message_delay) {
            // Without it the sweep finds the timer.
            let hint = Message::Hint { run: self.run.clone(), turn, timer };
            if let Err(error) = self.store.publish(hint, delay).await {
                tracing::warn!(run = %self.run, %error, "the hint for the end of a wait cannot be published");
            }
        }
        Ok(Next::End(End::Waiting))
    }

    /// Gives the lease back, because the time of this worker is short. Its timer remains until a later turn.
    async fn give_back(&mut self, running: &Running) -> Result<Next> {
        let rows = self.notes(running);
        let idle = self.held.head.idle;
        let head = Head { idle, ..self.ended(rows.len()) };
        let written = self.store.write(&self.run, Some(&self.held), head, rows).await?;
        if let Some(held) = written {
            let turn = held.head.turn;
            self.held = held;
            self.store.publish(Message::Hint { run: self.run.clone(), turn, timer: None }, Duration::ZERO).await?;
            return Ok(Next::End(End::Short));
        }
        self.again(running).await
    }

    /// The head without a lease.
    pub(crate) fn ended(&self, entries: usize) -> Head {
        let head = &self.held.head;
        let entries = head.entries + u32::try_from(entries).unwrap_or(u32::MAX);
        Head { lease: None, wake: None, waits: Vec::new(), idle: 0, entries, updated: self.store.now(), ..head.clone() }
    }

    /// Writes the head at the end of the turn, and deletes the timers of the turn. `false` if the head has changed.
    pub(crate) async fn end(&mut self, head: Head, rows: Vec<(String, Row, PutMode)>) -> Result<bool> {
        match self.store.write(&self.run, Some(&self.held), head, rows).await? {
            None => Ok(false),
            Some(held) => {
                self.held = held;
                // Before the timers are deleted: without them no other worker would do it.
                self.store.notify_parent(&self.run, &self.held.head).await?;
                for timer in std::mem::take(&mut self.timers) {
                    // The sweep deletes it otherwise.
                    if let Err(error) = self.store.delete_timer(&timer).await {
                        tracing::warn!(run = %self.run, %error, "a timer cannot be deleted");
                    }
                }
                Ok(true)
            }
        }
    }

    /// After the head has changed: goes on if this worker still has the run.
    pub(crate) async fn again(&mut self, running: &Running) -> Result<Next> {
        self.store.clock.pause(pause(0)).await;
        Ok(if self.reload(running).await? { Next::Go } else { Next::End(End::Lost) })
    }
}

/// The lease of a head, for another time if less than half of it is left or `is_forced`.
fn renewed(head: &Head, now: u64, is_forced: bool) -> Option<Lease> {
    let lease = head.lease.clone()?;
    let until = now.saturating_add(millis(LEASE));
    let is_old = lease.until < now.saturating_add(millis(LEASE) / 2);
    Some(if is_old || is_forced { Lease { until, ..lease } } else { lease })
}

fn shortened(mut waits: Vec<String>) -> Vec<String> {
    waits.sort_unstable();
    waits.dedup();
    if waits.iter().map(String::len).sum::<usize>() > WAITS_BYTES { vec!["*".to_owned()] } else { waits }
}

pub(crate) fn pause(attempt: u32) -> Duration {
    Duration::from_micros(fastrand::u64(0..=2_000 << attempt.min(7)))
}
