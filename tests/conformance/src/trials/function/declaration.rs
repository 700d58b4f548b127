//! An app that is declared wrongly does not start, and its error names all problems.

use std::time::Duration;

use isobar::driver::ResourceKind;
use isobar::driver::key_value::KeyValue;
use isobar::prelude::*;

use crate::trials::{BAD_NAMES, start_error};
use crate::{Provided, TrialResult, World};

crate::trials![
    "FN-7" => bad_cron_lines_are_reported_with_the_problem,
    "FN-7" => intervals_that_divide_neither_an_hour_nor_a_day_are_reported,
    "FN-7" => two_handlers_for_one_trigger_are_reported,
    "FN-7" => modules_that_collide_and_bad_prefixes_are_reported,
    "FN-7" => the_error_of_an_app_that_cannot_be_built_is_reported,
    "FN-7" => bad_names_of_resources_are_reported,
    "FN-7" => bad_names_of_app_schedules_and_functions_are_reported,
    "FN-7" => names_that_a_platform_confuses_are_refused,
    "FN-7" => names_at_the_ends_of_the_rule_start,
    "FN-7" => a_trigger_on_a_resource_of_another_cloud_is_reported,
    "FN-7" => all_problems_are_reported_together,
    "FN-7" => a_kind_that_nothing_opens_and_an_option_of_two_values_are_reported,
    "FN-7" => an_app_of_nothing_starts,
    "FN-7" => an_app_may_open_a_resource_twice_and_handle_it_once,
];

async fn bad_cron_lines_are_reported_with_the_problem(world: Box<dyn World>) -> TrialResult {
    for (line, problem) in [
        ("", "0 fields"),
        ("0 3 * *", "4 fields"),
        ("0 0 3 * * *", "6 fields"),
        ("@daily", "1 fields"),
        ("60 * * * *", "60 * * * *"),
        ("0 24 * * *", "0 24 * * *"),
        ("0 3 L * *", "`L`"),
        ("0 3 ? * *", "`?`"),
        ("0 3 * * 1#2", "`#`"),
        ("0 3 1 * MON", "day of month or a day of week"),
        ("0 3 * FOO *", "`FOO`"),
        ("0 3 30-5 * *", "0 3 30-5 * *"),
        ("0 0 30 2 *", "never runs"),
        ("0 0 31 4,JUN,9,11 *", "never runs"),
    ] {
        let app = move |_: &Cloud| App::new("clock").on_schedule("sweep", line, |_, _cx| async {});
        let report = start_error(&*world, app).await?;
        assert!(report.contains("`sweep`") && report.contains(problem), "{line:?}: {report}");
    }
    Ok(())
}

async fn intervals_that_divide_neither_an_hour_nor_a_day_are_reported(world: Box<dyn World>) -> TrialResult {
    let (second, minute, hour) = (Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(3_600));
    let bad = [
        Duration::ZERO,
        second,
        second * 30,
        second * 90,
        minute * 7,
        minute * 45,
        minute * 90,
        hour * 5,
        hour * 25,
        hour * 48,
        minute + Duration::from_nanos(1),
        hour - Duration::from_millis(1),
        hour * 24 + second,
        Duration::MAX,
    ];
    let app = move |_: &Cloud| {
        let app = App::new("clock").on_schedule("good", every(minute), |_, _cx| async {});
        bad.iter().enumerate().fold(app, |app, (place, interval)| {
            app.on_schedule(format!("bad-{place}"), every(*interval), |_, _cx| async {})
        })
    };
    let report = start_error(&*world, app).await?;
    for (place, interval) in bad.iter().enumerate() {
        let problem =
            format!("schedule `bad-{place}`: an interval of {interval:?} is not one of 1, 2, 3, 4, 5, 6, 10,");
        assert!(report.contains(&problem), "{problem} is not in: {report}");
    }
    assert!(!report.contains("`good`"), "{report}");
    Ok(())
}

async fn two_handlers_for_one_trigger_are_reported(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let (jobs, pages, notes) = (cloud.topic::<u32>("jobs"), cloud.bucket("pages"), cloud.table::<u32>("notes"));
        App::new("double")
            .http(Router::new())
            .http(Router::new())
            .on_message(&jobs, |_, _cx| async {})
            .on_message(jobs.subscription("default").with_max_attempts(1), |_, _cx| async {})
            .on_object(&pages, |_, _cx| async {})
            .on_object(&pages, |_, _cx| async {})
            .on_write(&notes, |_, _cx| async {})
            .on_write(notes.writes().with_max_attempts(1), |_, _cx| async {})
            .on_schedule("sweep", "0 3 * * *", |_, _cx| async {})
            .on_schedule("sweep", "0 4 * * *", |_, _cx| async {})
            .on_schedule("dust", "0 4 * * *", |_, _cx| async {})
            .on_schedule("dust", every(Duration::from_secs(3_600)), |_, _cx| async {})
            .on_invoke("stats", |(), _cx| async { Ok::<_, Error>(()) })
            .on_invoke("stats", |(), _cx| async { Ok::<_, Error>(()) })
    };
    let report = start_error(&*world, app).await?;
    let events = ["`http`", "topic `jobs`", "bucket `pages`", "writes of table `notes`"];
    for twice in events.into_iter().chain(["schedule `sweep`", "schedule `dust`", "function `stats`"]) {
        assert!(report.contains(twice), "{twice} is not named in: {report}");
    }
    Ok(())
}

async fn modules_that_collide_and_bad_prefixes_are_reported(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let module = |cron: &str| {
            App::new("module")
                .http(Router::new())
                .on_message(&cloud.topic::<u32>("jobs"), |_, _cx| async {})
                .on_schedule("sweep", cron, |_, _cx| async {})
        };
        App::new("double")
            .http(Router::new())
            .mount("/", module("0 3 * * *"))
            .mount("/desk", App::new("desk").mount("/drawer", module("@daily")))
            .mount("/desk/drawer", App::new("drawer").http(Router::new()))
            .mount("/shelf/", App::new("shelf"))
            .mount("/{id}", App::new("other"))
    };
    let report = start_error(&*world, app).await?;
    for problem in
        ["services at `/`", "services at `/desk/drawer`", "topic `jobs`", "schedule `sweep`", "`/shelf/`", "`/{id}`"]
    {
        assert!(report.contains(problem), "{problem} is not named in: {report}");
    }
    Ok(())
}

async fn the_error_of_an_app_that_cannot_be_built_is_reported(world: Box<dyn World>) -> TrialResult {
    let keyless = |_: &Cloud| -> std::result::Result<App, std::num::ParseIntError> {
        let _port: u16 = "many".parse()?;
        Ok(App::new("keyless"))
    };
    let report = start_error(&*world, keyless).await?;
    assert!(report.contains("invalid digit"), "{report}");
    let own =
        world.run(|_| Err::<App, _>(Error::conflict("another one runs"))).await.provided()?.err().expect("it started");
    assert_eq!((own.kind(), own.message()), (ErrorKind::Conflict, "another one runs"));
    Ok(())
}

async fn bad_names_of_resources_are_reported(world: Box<dyn World>) -> TrialResult {
    for bad in BAD_NAMES.into_iter().chain(["a2345678901234567890123456789012345678901"]) {
        let app = move |cloud: &Cloud| {
            cloud.table::<u32>(bad);
            cloud.topic::<u32>(bad);
            cloud.bucket(bad);
            App::new("named")
        };
        let report = start_error(&*world, app).await?;
        for kind in ["table", "topic", "bucket"] {
            assert!(report.contains(&format!("{kind} `{bad}`")), "{kind} {bad:?}: {report}");
        }
    }
    Ok(())
}

async fn bad_names_of_app_schedules_and_functions_are_reported(world: Box<dyn World>) -> TrialResult {
    for bad in BAD_NAMES {
        let app = move |_: &Cloud| {
            App::new(bad)
                .on_schedule(bad, "0 3 * * *", |_, _cx| async {})
                .on_invoke(bad, |(), _cx| async { Ok::<_, Error>(()) })
        };
        let report = start_error(&*world, app).await?;
        for kind in ["app: `", "schedule: `", "function: `"] {
            assert!(report.contains(&format!("{kind}{bad}`")), "{kind}{bad}: {report}");
        }
    }
    Ok(())
}

async fn names_that_a_platform_confuses_are_refused(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        cloud.topic::<u32>("clicks");
        cloud.bucket("azure-webjobs-hosts");
        cloud.bucket("pages");
        cloud.bucket("pages-poison");
        App::new("named").on_message(&cloud.topic::<u32>("clicks-poison"), |_, _cx| async {})
    };
    let report = start_error(&*world, app).await?;
    for named in ["`clicks`", "`clicks-poison`", "`pages-poison`", "`azure-webjobs-hosts`"] {
        assert!(report.contains(named), "{named} is not named in: {report}");
    }
    // None of these is confused with another.
    let app = |cloud: &Cloud| {
        cloud.table::<u32>("clicks");
        cloud.bucket("clicks");
        let app = App::new("clicks").on_schedule("clicks", "0 3 * * *", |_, _cx| async {});
        let names = ["orders", "orders-events", "orders-dead", "clicks-poison"];
        names.into_iter().fold(app, |app, name| app.on_message(&cloud.topic::<u32>(name), |_, _cx| async {}))
    };
    world.run(app).await?;
    Ok(())
}

async fn names_at_the_ends_of_the_rule_start(world: Box<dyn World>) -> TrialResult {
    const LONG: &str = "a-23456789012345678901234567890123456789";
    for good in ["abc", "a-1", "z-z-z", LONG] {
        let app = move |cloud: &Cloud| {
            cloud.table::<u32>(good);
            cloud.topic::<u32>(good);
            cloud.bucket(good);
            App::new(good)
                .on_schedule(good, "*/5 0-6,12 1,15 JAN-mar *", |_, _cx| async {})
                .on_invoke(good, |(), _cx| async { Ok::<_, Error>(()) })
        };
        let app = world.run(app).await?;
        app.tick(good).await?;
    }
    assert_eq!(LONG.len(), 40);
    Ok(())
}

async fn a_trigger_on_a_resource_of_another_cloud_is_reported(world: Box<dyn World>) -> TrialResult {
    let other = world.cloud();
    let app = move |_: &Cloud| {
        App::new("stranger")
            .on_message(&other.topic::<u32>("jobs"), |_, _cx| async {})
            .on_object(other.bucket("pages").events("thumbs"), |_, _cx| async {})
            .on_write(&other.table::<u32>("notes"), |_, _cx| async {})
    };
    let report = start_error(&*world, app).await?;
    for foreign in ["topic `jobs`", "bucket `pages`", "table `notes`"] {
        assert!(report.contains(&format!("{foreign} belongs to another cloud")), "{foreign} is not named in: {report}");
    }
    Ok(())
}

async fn all_problems_are_reported_together(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        cloud.table::<u32>("Links");
        App::new("Shop")
            .http(Router::new())
            .http(Router::new())
            .on_schedule("sweep", "61 * * * *", |_, _cx| async {})
            .on_schedule("dust", "whenever", |_, _cx| async {})
            .on_invoke("my stats", |(), _cx| async { Ok::<_, Error>(()) })
    };
    let report = start_error(&*world, app).await?;
    for problem in ["table `Links`", "app: `Shop`", "`http`", "`sweep`", "`dust`", "function: `my stats`"] {
        assert!(report.contains(problem), "{problem} is not named in: {report}");
    }
    Ok(())
}

async fn a_kind_that_nothing_opens_and_an_option_of_two_values_are_reported(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let stock = || cloud.resource::<dyn KeyValue>(ResourceKind::Table, "stock");
        let _ = (stock().with_option("rows", 7), stock().with_option("rows", 8));
        cloud.resource::<dyn KeyValue>(ResourceKind::Other("attic"), "chests");
        App::new("shop")
    };
    let report = start_error(&*world, app).await?;
    for problem in ["attic `chests`: ", "table `stock`: the option `rows` is both 7 and 8"] {
        assert!(report.contains(problem), "{report}");
    }
    Ok(())
}

async fn an_app_of_nothing_starts(world: Box<dyn World>) -> TrialResult {
    let app = world.run(|_| App::new("idle")).await?;
    app.deliver().await?;
    assert_eq!(app.manifest().app, "idle");
    Ok(())
}

async fn an_app_may_open_a_resource_twice_and_handle_it_once(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let (in_one_place, in_another) = (cloud.topic::<u32>("jobs"), cloud.topic::<u32>("jobs"));
        App::new("worker").on_message(&in_one_place, |_, _cx| async {}).on_invoke("publish", move |(), _cx| {
            let jobs = in_another.clone();
            async move { jobs.publish(1).await.map(|_| ()) }
        })
    };
    let app = world.run(app).await?;
    app.invoke("publish", bytes::Bytes::new()).await?;
    app.deliver().await?;
    assert_eq!(app.manifest().topics().count(), 1);
    Ok(())
}
