//! What a worker does with a message, and with a tick of the schedule.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::clock::to_millis;
use isobar_abstraction::key_value::PutMode;
use isobar_abstraction::pub_sub;
use isobar_abstraction::{Context, Outcome, Result};
use tracing::Instrument;

use crate::message::{CANCEL, Message};
use crate::row::{DUE, Event, Head, Parent, Row, RunId, RunState, Stored, Timer, TimerKind, event_sort, input_sort};
use crate::running::Program;
use crate::store::{Due, Held, Store, damaged, list_sort, millis, random_text};
use crate::turn::{End, Turn, pause};

/// The programs of a worker, by workflow and version.
pub(crate) type Programs = HashMap<String, BTreeMap<u32, Arc<Program>>>;

pub(crate) struct Worker {
    pub(crate) store: Store,
    pub(crate) programs: Programs,
    pub(crate) retention: Duration,
    pub(crate) is_strict: bool,
}

/// The time that a turn leaves to its host, to store results and to give the lease back.
const RESERVE: Duration = Duration::from_secs(10);

/// The turns without a commit after which a run is stalled.
const IDLE_TURNS: u32 = 8;

/// How long an event waits for the start of its run.
const EARLY_EVENT: Duration = Duration::from_secs(600);

/// The moves of a timer whose run has no head: each waits twice as long as the one before, 22 days in all.
const MOVES: u32 = 15;

/// How long a run waits for a build with its version.
const VERSION_WAIT: Duration = Duration::from_secs(3_600);

/// The reads and writes of one message that lose to other writers.
const ATTEMPTS: u32 = 20;

/// The hints of one request of the sweep.
const HINTS: usize = 100;

impl Worker {
    pub(crate) async fn handle(&self, message: pub_sub::Message<Message>, cx: &Context) -> Result<Outcome> {
        match message.body {
            Message::Start { run, input, digest, parent } => self.start(run, input, digest, parent, cx).await,
            Message::Event { run, name, id, body } => {
                let age = to_millis(cx.now()).saturating_sub(to_millis(message.published_at));
                self.event(run, (name, id), body, age, cx).await
            }
            Message::Hint { run, turn, timer } => self.hint(run, turn, timer, cx).await,
        }
    }

    async fn start(
        &self,
        run: RunId,
        input: Stored,
        digest: String,
        parent: Option<Parent>,
        cx: &Context,
    ) -> Result<Outcome> {
        let Some(version) = self.programs.get(run.workflow()).and_then(|versions| versions.keys().next_back()) else {
            let reason = format!(
                "this build has no workflow `{}`; register it, or deploy the build that has it",
                run.workflow()
            );
            return Ok(Outcome::retry_after(Duration::from_secs(60), reason));
        };
        let store = &self.store;
        for attempt in 0..ATTEMPTS {
            if let Some(held) = store.head(&run).await? {
                if held.head.input != digest {
                    return Ok(Outcome::reject(format!(
                        "the run {run} exists with another input; start it with another id"
                    )));
                }
                return self.look(run, held, cx).await;
            }
            let now = store.now();
            let empty = Head {
                state: RunState::Running,
                version: *version,
                turn: 0,
                lease: None,
                time: now,
                entries: 0,
                events: 0,
                forgotten: 0,
                generation: 0,
                wake: None,
                waits: Vec::new(),
                idle: 0,
                created: now,
                updated: now,
                incarnation: random_text(),
                input: digest.clone(),
                purge: None,
                parent: parent.clone(),
            };
            let (head, timer) = store.lease(&run, &empty);
            store.list_run(&run, now).await?;
            store.put_timer(&timer).await?;
            let rows = [(input_sort(0), Row::Value(input.clone()), PutMode::Create)];
            match store.write(&run, None, head, rows).await? {
                Some(held) => return self.turn(run, held, vec![timer], cx).await,
                None => store.clock.pause(pause(attempt)).await,
            }
        }
        Ok(Outcome::retry(format!("the head of the run {run} cannot be read")))
    }

    async fn event(
        &self,
        run: RunId,
        (name, id): (String, String),
        body: Stored,
        age: u64,
        cx: &Context,
    ) -> Result<Outcome> {
        let store = &self.store;
        let sort = event_sort(&name, &id);
        for attempt in 0..ATTEMPTS {
            let Some(held) = store.head(&run).await? else {
                if age < millis(EARLY_EVENT) {
                    return Ok(Outcome::retry_after(Duration::from_secs(15), format!("the run {run} has not begun")));
                }
                return Ok(Outcome::reject(format!("there is no run {run}; start it, and send the event again")));
            };
            if held.head.state.is_final() {
                tracing::info!(%run, event = name, "the event of a run that has ended is ignored");
                return Ok(Outcome::Ack);
            }
            // A first attempt is rarely a repetition, and the condition of its write finds that one too.
            if (attempt > 0 || cx.attempt() > 1) && store.table.get((run.partition(), sort.as_str())).await?.is_some() {
                return self.look(run, held, cx).await;
            }
            let now = store.now();
            let number = held.head.events + 1;
            let event = Event { name: name.clone(), number, time: now, body: Some(body.clone()) };
            let rows = [(sort.clone(), Row::Event(event), PutMode::Create)];
            let is_cancel = name == CANCEL && held.head.state != RunState::Undoing;
            let is_awaited = is_cancel || held.head.waits.iter().any(|wait| *wait == name || wait == "*");
            let takes = match store.due(&held.head) {
                _ if held.head.state == RunState::Stalled || !self.has_program(&run, &held.head) => false,
                Due::Now => true,
                Due::Leased(_) => false,
                Due::Waiting(_) => is_awaited,
            };
            let stored = Head { events: number, ..held.head.clone() };
            let written = if takes {
                let (head, timer) = store.lease(&run, &stored);
                store.put_timer(&timer).await?;
                match store.write(&run, Some(&held), head, rows).await? {
                    Some(next) => return self.turn(run.clone(), next, timers(&run, &held, timer), cx).await,
                    changed => changed,
                }
            } else {
                store.write(&run, Some(&held), stored, rows).await?
            };
            match written {
                Some(_) => return Ok(Outcome::Ack),
                None => store.clock.pause(pause(attempt)).await,
            }
        }
        Ok(Outcome::retry(format!("the run {run} changes too often to store an event")))
    }

    async fn hint(&self, run: RunId, turn: u64, timer: Option<Timer>, cx: &Context) -> Result<Outcome> {
        let store = &self.store;
        let Some(held) = store.head(&run).await? else {
            return self.without_head(timer).await;
        };
        let head = &held.head;
        let is_purge = timer.as_ref().is_some_and(|timer| timer.kind == TimerKind::Purge);
        if head.state.is_final() && is_purge && head.purge.is_some_and(|at| at <= store.now()) {
            self.purge(&run, &held).await?;
        } else if is_purge && head.turn <= turn {
            // The worker that wrote it is about to end the run, or did not.
            return Ok(Outcome::Ack);
        }
        if head.state.is_final() || head.state == RunState::Stalled || head.turn > turn {
            if head.turn == turn && !is_purge {
                // The worker that ended the run may have ended before this.
                store.notify_parent(&run, head).await?;
            }
            if let Some(timer) = timer {
                store.delete_timer(&timer).await?;
            }
            return Ok(Outcome::Ack);
        }
        if !self.has_program(&run, head) {
            return self.without_program(&run, held, timer).await;
        }
        self.look(run, held, cx).await
    }

    /// A timer whose run has no head: the start failed, the run was deleted, or the read is old. So the timer moves, further
    /// each time, and ends after more days than any read is old.
    async fn without_head(&self, timer: Option<Timer>) -> Result<Outcome> {
        let Some(timer) = timer else { return Ok(Outcome::Ack) };
        if timer.moves < MOVES {
            let at = self.store.now().saturating_add(60_000 << timer.moves);
            self.store.put_timer(&Timer { at, moves: timer.moves + 1, ..timer.clone() }).await?;
        }
        self.store.delete_timer(&timer).await?;
        Ok(Outcome::Ack)
    }

    /// Takes the lease if the run is due. Otherwise its timer holds it.
    async fn look(&self, run: RunId, held: Held, cx: &Context) -> Result<Outcome> {
        let store = &self.store;
        if held.head.state.is_final() || held.head.state == RunState::Stalled || !self.has_program(&run, &held.head) {
            return Ok(Outcome::Ack);
        }
        let now = store.now();
        match store.due(&held.head) {
            // A first delivery finds a lease if two hints are for one turn; a later one if its own worker has ended.
            Due::Leased(until) if cx.attempt() > 1 && cx.attempt() < 5 => {
                let after = Duration::from_millis(until.saturating_sub(now));
                return Ok(Outcome::retry_after(after, "another worker has the run"));
            }
            Due::Waiting(Some(at)) if at.saturating_sub(now) <= millis(store.in_process) => {
                return Ok(Outcome::retry_after(Duration::from_millis(at.saturating_sub(now)), "the run waits"));
            }
            Due::Leased(_) | Due::Waiting(_) => return Ok(Outcome::Ack),
            Due::Now => {}
        }
        if held.head.idle >= IDLE_TURNS {
            let reason = format!(
                "{IDLE_TURNS} turns ended without a commit: the process may have ended in a step. Look at the log of turn {}",
                held.head.turn
            );
            store.stall(&run, &held, held.head.clone(), reason).await?;
            return Ok(Outcome::Ack);
        }
        let (head, timer) = store.lease(&run, &held.head);
        store.put_timer(&timer).await?;
        match store.write(&run, Some(&held), head, []).await? {
            Some(next) => self.turn(run.clone(), next, timers(&run, &held, timer), cx).await,
            // Another worker was faster, or the read was old: the timer of the run is there, and another delivery is faster.
            None if cx.attempt() < 5 => Ok(Outcome::retry_after(Duration::from_secs(1), "the run has changed")),
            None => Ok(Outcome::Ack),
        }
    }

    fn has_program(&self, run: &RunId, head: &Head) -> bool {
        self.programs.get(run.workflow()).is_some_and(|versions| versions.contains_key(&head.version))
    }

    /// A run of a version that this build does not have: its timer remains, until a build has it.
    async fn without_program(&self, run: &RunId, held: Held, timer: Option<Timer>) -> Result<Outcome> {
        let known = self
            .programs
            .get(run.workflow())
            .map(|versions| versions.keys().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        let known = known.map_or("none".to_owned(), |versions| format!("version {versions}"));
        let reason = format!("this build has no version {} of `{}`; it has {known}", held.head.version, run.workflow());
        tracing::warn!(%run, reason, "the run waits for a build with its version");
        let limit = self.store.now().saturating_sub(millis(VERSION_WAIT));
        if timer.is_some_and(|timer| timer.at < limit) && matches!(self.store.due(&held.head), Due::Now) {
            self.store.stall(run, &held, held.head.clone(), reason).await?;
        }
        Ok(Outcome::Ack)
    }

    async fn turn(&self, run: RunId, held: Held, timers: Vec<Timer>, cx: &Context) -> Result<Outcome> {
        let program = self.programs.get(run.workflow()).and_then(|versions| versions.get(&held.head.version));
        let program = program.ok_or_else(|| damaged(&run, "its program"))?;
        let deadline = cx.deadline().map(to_millis);
        let left = deadline.map(|deadline| deadline.saturating_sub(self.store.now()));
        let before = |reserve: u64| Some(deadline?.saturating_sub(reserve.min(left? / 4)));
        let (turn, reserve) = (held.head.turn, millis(RESERVE));
        let mut work = Turn {
            store: &self.store,
            program: &**program,
            run: run.clone(),
            held,
            timers,
            deadline: before(reserve),
            steps_until: before(reserve + reserve / 5),
            retention: self.retention,
            is_strict: self.is_strict,
        };
        let span = tracing::info_span!("turn", %run, turn, version = work.held.head.version);
        let ended = work.run().instrument(span).await;
        match ended {
            Ok(end) => {
                tracing::debug!(%run, turn, ?end, "a turn has ended");
                Ok(if end == End::Lost {
                    Outcome::retry_after(Duration::from_secs(1), "another worker has the run")
                } else {
                    Outcome::Ack
                })
            }
            Err(error) => {
                // Without its lease another delivery goes on immediately; with it the timer does, at the end of the lease.
                // A turn that ends by an error of a service is not one whose process ended.
                let idle = work.held.head.idle.saturating_sub(1);
                let head = Head { lease: None, idle, ..work.held.head.clone() };
                if let Err(error) = self.store.write(&run, Some(&work.held), head, []).await {
                    tracing::warn!(%run, %error, "the lease cannot be given back");
                }
                Err(error)
            }
        }
    }

    /// Deletes the rows of a run that has ended, the head last.
    async fn purge(&self, run: &RunId, held: &Held) -> Result<()> {
        let store = &self.store;
        loop {
            let page = store.bucket.list(run.prefix()).page().await?;
            for object in &page.objects {
                store.bucket.delete(&object.key).await?;
            }
            if page.next.is_none() {
                break;
            }
        }
        for prefix in ["e/", "j/", "r/", "v/"] {
            store.delete_rows(run, prefix).await?;
        }
        store.table.delete((crate::row::LIST, list_sort(run, held.head.created).as_str())).await?;
        match store.table.delete_version(run.partition(), &held.version).await {
            Err(error) if error.kind() == isobar_abstraction::ErrorKind::Conflict => Ok(()),
            deleted => deleted,
        }
    }

    /// Publishes a hint for each timer whose time has come. It deletes none: the worker of a later turn does.
    pub(crate) async fn sweep(&self, cx: &Context) -> Result<()> {
        let store = &self.store;
        let end = format!("{:013}0", store.now());
        let mut cursor = None;
        loop {
            let page = store.table.query(DUE).range(..end.as_str()).limit(HINTS).after(cursor).page().await?;
            let hints = page.items.iter().filter_map(|entry| match &entry.value {
                Row::Timer(timer) => {
                    Some(Message::Hint { run: timer.run.clone(), turn: timer.turn, timer: Some(timer.clone()) })
                }
                _ => None,
            });
            let failed = store.topic.publish_batch(hints).await.into_iter().find_map(Result::err);
            if let Some(error) = failed {
                // The timers are still there.
                return Err(error);
            }
            cursor = page.next;
            if cursor.is_none() || cx.remaining().is_some_and(|left| left < RESERVE) {
                return Ok(());
            }
        }
    }
}

/// The timers that the end of a turn deletes: of its lease, and of the wait that it ends.
fn timers(run: &RunId, before: &Held, lease: Timer) -> Vec<Timer> {
    let wait = before.head.wake.map(|at| Timer::new(run, before.head.turn, TimerKind::Wake, at));
    wait.into_iter().chain([lease]).collect()
}
