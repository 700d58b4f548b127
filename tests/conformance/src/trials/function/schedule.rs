//! A schedule runs its handler, and receives the outcome.

use std::time::{Duration, SystemTime};

use isobar::driver::CronSchedule;
use isobar::prelude::*;

use crate::trials::full_text;
use crate::trials::pub_sub::Recorded;
use crate::{Provided, TrialResult, World};

crate::trials![
    "FN-5" => a_tick_runs_its_handler_with_schedule_and_due_time,
    "FN-5" => a_tick_runs_the_handler_of_its_own_schedule_only,
    "FN-5" => the_failure_of_a_tick_is_reported_with_its_reason,
    "FN-5" => a_rejected_tick_is_reported_with_its_reason,
    "FN-5" => a_failed_tick_is_not_tried_again_by_itself,
    "FN-5" => a_tick_of_an_unknown_schedule_is_not_found_and_named,
    "FN-5" => what_a_tick_publishes_is_delivered,
    "FN-5" => a_cron_line_names_its_next_time_in_utc,
    "FN-5" => every_interval_is_a_line_with_equal_intervals_from_midnight,
];

async fn a_tick_runs_its_handler_with_schedule_and_due_time(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |_: &Cloud| {
        App::new("clock").on_schedule("sweep", "0 3 * * *", move |tick: Tick, cx: Context| {
            sink.add((tick.schedule, tick.due, cx.now()));
            async {}
        })
    };
    let app = world.run(app).await?;
    app.tick("sweep").await?;
    let (schedule, due, now) = recorded.only();
    assert_eq!(schedule, "sweep");
    assert!(due <= now && due + Duration::from_secs(60) > now, "due at {due:?}, run at {now:?}");
    Ok(())
}

async fn a_tick_runs_the_handler_of_its_own_schedule_only(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let (morning, evening) = (recorded.clone(), recorded.clone());
    let app = move |_: &Cloud| {
        App::new("clock")
            .on_schedule("morning", "0 6 * * *", move |_, _cx| {
                morning.add("morning");
                async {}
            })
            .on_schedule("evening", "0 18 * * MON-FRI", move |_, _cx| {
                evening.add("evening");
                async {}
            })
    };
    let app = world.run(app).await?;
    app.tick("evening").await?;
    app.tick("morning").await?;
    app.tick("evening").await?;
    assert_eq!(recorded.all(), ["evening", "morning", "evening"]);
    Ok(())
}

async fn the_failure_of_a_tick_is_reported_with_its_reason(world: Box<dyn World>) -> TrialResult {
    let app = |_: &Cloud| {
        App::new("clock").on_schedule("sweep", "0 3 * * *", |_, _cx| async {
            Err::<(), _>(Error::conflict("no broom").with_source(Error::internal("it was stolen")))
        })
    };
    let app = world.run(app).await?;
    let error = app.tick("sweep").await.provided()?.expect_err("the failure was not reported");
    assert!(full_text(&error).contains("no broom"), "{}", full_text(&error));
    assert!(full_text(&error).contains("it was stolen"), "{}", full_text(&error));
    Ok(())
}

async fn a_rejected_tick_is_reported_with_its_reason(world: Box<dyn World>) -> TrialResult {
    let app = |_: &Cloud| {
        App::new("clock").on_schedule("sweep", "0 3 * * *", |_, _cx| async { Outcome::reject("on strike") })
    };
    let app = world.run(app).await?;
    let error = app.tick("sweep").await.provided()?.expect_err("the failure was not reported");
    assert!(full_text(&error).contains("on strike"), "{}", full_text(&error));
    Ok(())
}

async fn a_failed_tick_is_not_tried_again_by_itself(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |_: &Cloud| {
        App::new("clock").on_schedule("sweep", "0 3 1 1 *", move |_, cx: Context| {
            sink.add(cx.attempt());
            async { Outcome::retry("no broom") }
        })
    };
    let app = world.run(app).await?;
    assert!(app.tick("sweep").await.provided()?.is_err());
    world.advance(Duration::from_secs(600))?;
    app.deliver().await?;
    assert_eq!(recorded.all(), [1]);
    assert!(app.tick("sweep").await.provided()?.is_err());
    assert_eq!(recorded.all(), [1, 1], "a new tick is a first attempt");
    Ok(())
}

async fn a_tick_of_an_unknown_schedule_is_not_found_and_named(world: Box<dyn World>) -> TrialResult {
    let app = |_: &Cloud| {
        let app = App::new("clock").on_schedule("sweep", "0 3 * * *", |_, _cx| async {});
        app.on_invoke("dust", |(), _cx| async { Ok::<_, Error>(()) })
    };
    let app = world.run(app).await?;
    let error = app.tick("dust").await.provided()?.expect_err("it was run");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let report = full_text(&error);
    assert!(report.contains("`dust`") && report.contains("schedule `sweep`"), "{report}");
    Ok(())
}

async fn what_a_tick_publishes_is_delivered(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u128>("jobs");
        let published = jobs.clone();
        App::new("clock")
            .on_schedule("sweep", "0 3 * * *", move |_, cx: Context| {
                let jobs = published.clone();
                async move { jobs.publish(cx.trace_parent().trace_id()).await.map(|_| ()) }
            })
            .on_message(&jobs, move |job, cx| {
                sink.add((job.body, cx.trace_parent().trace_id()));
                async {}
            })
    };
    let app = world.run(app).await?;
    app.tick("sweep").await?;
    app.deliver().await?;
    let (of_tick, of_message) = recorded.only();
    assert_eq!(of_tick, of_message, "the message has another trace than the tick");
    Ok(())
}

/// 2026-01-01 was a Thursday.
async fn a_cron_line_names_its_next_time_in_utc(world: Box<dyn World>) -> TrialResult {
    let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let hours = |line: &str| -> Result<u64> {
        let next = CronSchedule::parse(line)?.next_after(new_year).expect("a next time");
        Ok(next.duration_since(new_year).expect("a later time").as_secs() / 3_600)
    };
    assert_eq!(hours("0 * * * *")?, 1, "the next time is after the time given");
    assert_eq!(hours("0 3 * * *")?, 3);
    assert_eq!(hours("0 0 * * SAT")?, 2 * 24);
    assert_eq!(hours("0 0 * * 0")?, 3 * 24, "0 is Sunday");
    assert_eq!(hours("0 0 29 2 *")?, ((365 + 365) + 31 + 28) * 24, "2028 has a 29th of February");
    drop(world);
    Ok(())
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

async fn every_interval_is_a_line_with_equal_intervals_from_midnight(world: Box<dyn World>) -> TrialResult {
    let minutes = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].map(|minutes| minutes * MINUTE);
    let hours = [1, 2, 3, 4, 6, 8, 12, 24].map(|hours| hours * HOUR);
    let intervals: Vec<_> = minutes.into_iter().chain(hours).collect();
    let (declared, recorded) = (intervals.clone(), Recorded::default());
    let sink = recorded.clone();
    let app = move |_: &Cloud| {
        declared.iter().fold(App::new("clock"), |app, seconds| {
            let sink = sink.clone();
            app.on_schedule(format!("every-{seconds}"), every(Duration::from_secs(*seconds)), move |tick: Tick, _cx| {
                sink.add(tick.schedule);
                async {}
            })
        })
    };
    let app = world.run(app).await?;
    assert_eq!(app.manifest().schedules().count(), intervals.len());
    let midnight = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    for seconds in intervals {
        let name = format!("every-{seconds}");
        let line = &app.manifest().schedules().find(|it| it.name == name).expect("it is declared").cron;
        let schedule = CronSchedule::parse(line)?;
        let mut time = midnight;
        for _ in 0..=48 * HOUR / seconds {
            let next = schedule.next_after(time).expect("a next time");
            assert_eq!(next, time + Duration::from_secs(seconds), "`{line}` for {seconds} s");
            time = next;
        }
        app.tick(&name).await?;
        assert_eq!(recorded.all().last(), Some(&name));
    }
    Ok(())
}
