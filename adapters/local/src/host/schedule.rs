//! Schedules: ticks run when they are due; ticks missed while no process ran are delivered as one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::{CronSchedule, Function};
use isobar_abstraction::manifest::ScheduleTrigger;
use isobar_abstraction::{Event, Result, Tick};
use redb::{ReadableTable, TableDefinition};

use super::worker::LONGEST_SLEEP;
use super::{Stop, recorded};
use crate::event;
use crate::state::State;
use crate::store::{Store, failed};

/// By name: up to when the schedule was run, in milliseconds since 1970.
const SCHEDULES: TableDefinition<'static, &str, u64> = TableDefinition::new("schedules");

/// A clock that goes back by less is synchronized, not set.
const BACKWARDS: Duration = Duration::from_secs(60);

/// Runs one schedule until the host stops. Ticks of one schedule never overlap; those that are due
/// while one runs are delivered as one after it.
pub(super) async fn run(
    trigger: ScheduleTrigger,
    state: Arc<State>,
    function: Arc<dyn Function>,
    mut stop: Stop,
) -> Result<()> {
    let (store, clock) = (&state.store, &state.clock);
    let cron = CronSchedule::parse(&trigger.cron)?;
    let mut last = last_run(store, &trigger.name, clock.now()).await?;
    loop {
        let now = clock.now();
        if last.duration_since(now).is_ok_and(|ahead| ahead > BACKWARDS) {
            tracing::warn!(
                schedule = trigger.name,
                "the clock was set back; the schedule continues from the current time"
            );
            last = now;
            record(store, trigger.name.clone(), last).await?;
        }
        // A schedule without a next tick must not end the host.
        let due = cron.next_after(last);
        let wait = due.map_or(LONGEST_SLEEP, |due| due.duration_since(now).unwrap_or_default());
        let Some(due) = due.filter(|_| wait.is_zero()) else {
            tokio::select! {
                () = clock.sleep(wait.min(LONGEST_SLEEP)) => continue,
                () = stop.wait() => return Ok(()),
            }
        };
        let plan = state.chaos.as_ref().map(|chaos| chaos.tick(&trigger.name));
        if let Some(late) = plan.as_ref().map(|plan| plan.late).filter(|late| !late.is_zero()) {
            tokio::select! {
                () = clock.sleep(late) => {}
                () = stop.wait() => return Ok(()),
            }
        }
        for _ in 0..plan.map_or(1, |plan| plan.times) {
            tick(&state, function.as_ref(), &trigger.name, due).await;
        }
        // Recorded after the run, so that a crash in the middle of it runs it again.
        last = now.max(due);
        record(store, trigger.name.clone(), last).await?;
    }
}

async fn tick(state: &State, function: &dyn Function, schedule: &str, due: SystemTime) {
    let cx = event::context(&state.clock, state.profile.limits.event_timeout);
    let (invocation, trace) = (cx.invocation_id().to_owned(), cx.trace_parent().trace_id());
    let tick = Event::Schedule(Tick::new(schedule, due));
    if let Err(error) = recorded::handle(state, function, tick, cx).await {
        tracing::error!(
            schedule,
            invocation,
            trace = format!("{trace:032x}"),
            error = error.message(),
            "the schedule could not be run; it runs again at its next tick"
        );
    }
}

/// A schedule that is new has missed nothing.
async fn last_run(store: &Store, name: &str, now: SystemTime) -> Result<SystemTime> {
    let name = name.to_owned();
    let last = store.write(move |transaction| {
        let mut table = transaction.open_table(SCHEDULES).map_err(failed)?;
        let stored = table.get(name.as_str()).map_err(failed)?.map(|last| last.value());
        if stored.is_none() {
            table.insert(name.as_str(), to_millis(now)).map_err(failed)?;
        }
        Ok(stored.unwrap_or_else(|| to_millis(now)))
    });
    last.await.map(from_millis)
}

async fn record(store: &Store, name: String, last: SystemTime) -> Result<()> {
    let write = store.write(move |transaction| {
        let mut table = transaction.open_table(SCHEDULES).map_err(failed)?;
        table.insert(name.as_str(), to_millis(last)).map_err(failed)?;
        Ok(())
    });
    write.await
}
