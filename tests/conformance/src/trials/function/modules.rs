//! State, layers and modules: what an app is made of, on each of its triggers.

use bytes::Bytes;
use http::{Request, Uri};
use isobar::prelude::*;
use isobar::pub_sub::DeadLetter;
use isobar::{BoxError, Event, EventQueue, Next, OriginalUri, Reply};

use crate::trials::full_text;
use crate::trials::pub_sub::Recorded;
use crate::{HarnessResult, Provided, RunningApp, TrialResult, World};

crate::trials![
    "FN-13" => each_kind_of_handler_is_given_the_state,
    "FN-14" => layers_run_once_around_each_handler_in_their_order,
    "FN-14" => an_error_of_a_layer_counts_as_one_of_a_handler,
    "FN-14" => an_error_of_a_layer_is_tried_again,
    "FN-14" => a_layer_that_changes_the_kind_of_an_event_fails_it,
    "FN-14" => a_layer_that_changes_the_kind_of_a_reply_fails_it,
    "FN-15" => a_module_sees_the_path_behind_its_prefix,
    "FN-15" => the_longest_prefix_of_whole_segments_counts,
    "FN-15" => a_module_at_the_root_brings_the_routes,
    "FN-15" => modules_share_what_they_open,
];

/// What an app has done. It is the state of each handler.
#[derive(Clone, Default)]
struct Log(Recorded<String>);

impl Log {
    /// Notes the text, with what surrounds a handler too.
    fn add(&self, text: impl Into<String>) {
        self.0.add(text.into());
    }

    async fn message(self, job: Message<u32>, _cx: Context) -> Result<()> {
        self.add(format!("message {}", job.body));
        Ok(())
    }

    async fn object(self, event: ObjectEvent, _cx: Context) {
        self.add(format!("object {}", event.key));
    }

    async fn tick(self, tick: Tick, _cx: Context) -> Result<()> {
        self.add(format!("tick {}", tick.schedule));
        Ok(())
    }

    async fn call(self, number: u32, _cx: Context) -> Result<u32> {
        self.add(format!("call {number}"));
        Ok(number)
    }

    async fn request(State(log): State<Self>, Path(path): Path<String>) -> String {
        log.add(format!("request {path}"));
        path
    }

    /// What has been noted since the start; `before` of it is known.
    fn since(&self, before: usize) -> Vec<String> {
        self.0.all().split_off(before)
    }
}

/// An app of every trigger, whose handlers have this state.
fn desk(cloud: &Cloud, log: &Log) -> App {
    App::new("desk")
        .with_state(log.clone())
        .http(Router::new().route("/{path}", get(Log::request)).with_state(log.clone()))
        .on_message(&cloud.topic("jobs"), Log::message)
        .on_object(&cloud.bucket("pages"), Log::object)
        .on_schedule("sweep", "0 3 * * *", Log::tick)
        .on_invoke("count", Log::call)
        .build()
}

/// Makes each trigger of [`desk`] run once, below this prefix, and returns what was noted of each.
async fn each_trigger(
    world: &dyn World,
    app: &dyn RunningApp,
    prefix: &str,
    log: &Log,
) -> HarnessResult<Vec<Vec<String>>> {
    let mut noted = Vec::new();
    let mut recorded = 0;
    let mut note = || {
        let new = log.since(recorded);
        recorded += new.len();
        noted.push(new);
    };
    assert_eq!(app.get(&format!("{prefix}/a")).await?.text(), "a");
    note();
    world.cloud().topic::<u32>("jobs").publish(7_u32).await?;
    app.deliver().await?;
    note();
    world.cloud().bucket("pages").put("a.html", "hello").await?;
    app.deliver().await?;
    note();
    app.tick("sweep").await?;
    note();
    assert_eq!(app.invoke("count", Bytes::from_static(b"7")).await?, "7");
    note();
    Ok(noted)
}

const HANDLED: [&str; 5] = ["request a", "message 7", "object a.html", "tick sweep", "call 7"];

async fn each_kind_of_handler_is_given_the_state(world: Box<dyn World>) -> TrialResult {
    let log = Log::default();
    let state = log.clone();
    let app = world.run(move |cloud| desk(cloud, &state)).await?;
    let noted = each_trigger(&*world, &*app, "", &log).await?;
    assert_eq!(noted, HANDLED.map(|handled| vec![handled.to_owned()]));
    Ok(())
}

/// Notes its name before and behind what it surrounds.
fn around(
    name: &'static str,
) -> impl Fn(Log, Event, Context, Next) -> futures_util::future::BoxFuture<'static, Result<Reply>> {
    move |log, event, cx, next| {
        Box::pin(async move {
            log.add(name);
            let reply = next.run(event, cx).await;
            log.add(name);
            reply
        })
    }
}

async fn layers_run_once_around_each_handler_in_their_order(world: Box<dyn World>) -> TrialResult {
    let log = Log::default();
    let state = log.clone();
    let app = move |cloud: &Cloud| {
        let module = desk(cloud, &state).with_state(state.clone()).layer(around("module")).build();
        let routes = Router::new().route("/{path}", get(Log::request)).with_state(state.clone());
        // A layer is of the app, whether it is added before or behind a handler.
        App::new("office")
            .with_state(state)
            .layer(around("outer"))
            .http(routes)
            .mount("/desk", module)
            .layer(around("inner"))
            .build()
    };
    let app = world.run(app).await?;
    assert!(app.manifest().http());
    assert_eq!(app.manifest().app, "office");
    let noted = each_trigger(&*world, &*app, "/desk", &log).await?;
    let expected = HANDLED.map(|handled| ["outer", "inner", "module", handled, "module", "inner", "outer"]);
    assert_eq!(noted, expected);
    let before = log.0.count();
    assert_eq!(app.get("/b").await?.text(), "b");
    assert_eq!(log.since(before), ["outer", "inner", "request b", "inner", "outer"]);
    Ok(())
}

/// Starts [`desk`] with this layer.
async fn desk_inside<L, F, E>(world: &dyn World, log: &Log, layer: L) -> HarnessResult<Box<dyn RunningApp>>
where
    L: Fn(Event, Context, Next) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Reply, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let log = log.clone();
    world.run(move |cloud| desk(cloud, &log).layer(layer)).await
}

/// The dead letters of the topic and of the bucket of [`desk`], after one message and one object.
async fn dead_letters(world: &dyn World, app: &dyn RunningApp) -> HarnessResult<[Vec<DeadLetter>; 2]> {
    world.cloud().topic::<u32>("jobs").publish(7_u32).await?;
    world.cloud().bucket("pages").put("a.html", "hello").await?;
    app.deliver().await?;
    Ok([app.dead_letters(&"jobs".into()).await?, app.dead_letters(&EventQueue::bucket("pages")).await?])
}

async fn an_error_of_a_layer_counts_as_one_of_a_handler(world: Box<dyn World>) -> TrialResult {
    let log = Log::default();
    let closed = |_, _, _| async { Err(isobar::axum::Error::new(Error::invalid_input("the desk is closed"))) };
    let app = desk_inside(&*world, &log, closed).await?;
    let answer = app.get("/a").await?;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json::<serde_json::Value>()?["detail"], "the desk is closed");
    for dead in dead_letters(&*world, &*app).await? {
        assert!(dead.len() == 1 && dead[0].reason.contains("the desk is closed"), "{dead:?}");
    }
    let failed = app.tick("sweep").await.provided()?.expect_err("it ran");
    assert!(full_text(&failed).contains("the desk is closed"), "{}", full_text(&failed));
    let refused = app.invoke("count", Bytes::from_static(b"7")).await.provided()?.expect_err("it was answered");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(log.0.count(), 0, "a handler ran");
    Ok(())
}

async fn an_error_of_a_layer_is_tried_again(world: Box<dyn World>) -> TrialResult {
    let log = Log::default();
    let late = |event, cx: Context, next: Next| async move {
        if cx.attempt() == 1 {
            return Err(BoxError::from("the clerk is late"));
        }
        Ok(next.run(event, cx).await?)
    };
    let app = desk_inside(&*world, &log, late).await?;
    world.cloud().topic::<u32>("jobs").publish(7_u32).await?;
    app.deliver().await?;
    assert_eq!(log.0.count(), 0);
    world.advance(std::time::Duration::from_secs(600))?;
    app.deliver().await?;
    assert_eq!(log.since(0), ["message 7"]);
    Ok(())
}

/// A delivery that fails with this text, on each trigger of the app.
async fn fails(world: &dyn World, app: &dyn RunningApp, text: &str) -> TrialResult {
    assert_eq!(app.get("/a").await?.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(dead_letters(world, app).await?, [Vec::new(), Vec::new()], "it is tried again");
    let errors = [
        app.tick("sweep").await.provided()?.expect_err("it ran"),
        app.invoke("count", Bytes::from_static(b"7")).await.provided()?.expect_err("it was answered"),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(full_text(&error).contains(text), "{}", full_text(&error));
    }
    Ok(())
}

async fn a_layer_that_changes_the_kind_of_an_event_fails_it(world: Box<dyn World>) -> TrialResult {
    let log = Log::default();
    let change = async |event, cx, next: Next| {
        let other = match event {
            Event::Http(_) => Event::Schedule(Tick::new("sweep", std::time::UNIX_EPOCH)),
            _ => Event::Http(Request::new(Body::empty())),
        };
        next.run(other, cx).await
    };
    let app = desk_inside(&*world, &log, change).await?;
    fails(&*world, &*app, "a layer passed on an event of another kind").await?;
    assert_eq!(log.0.count(), 0, "a handler ran");
    Ok(())
}

async fn a_layer_that_changes_the_kind_of_a_reply_fails_it(world: Box<dyn World>) -> TrialResult {
    let change = async |event, cx, next: Next| {
        let reply = match next.run(event, cx).await? {
            Reply::Http(_) => Reply::Handled(Outcome::Ack),
            _ => Reply::Http(().into_response()),
        };
        Ok::<_, Error>(reply)
    };
    let app = desk_inside(&*world, &Log::default(), change).await?;
    fails(&*world, &*app, "a layer replied to").await
}

/// Answers with the path and the query that it sees, and with those that were sent.
async fn place(uri: Uri, OriginalUri(sent): OriginalUri) -> String {
    let target = |uri: &Uri| uri.path_and_query().unwrap().to_string();
    format!("{} of {}", target(&uri), target(&sent))
}

/// An app that answers every path with its name and [`place`].
fn named(name: &'static str) -> App {
    let answer = async move |uri, sent| format!("{name}: {}", place(uri, sent).await);
    App::new(name).http(Router::new().fallback(answer))
}

async fn a_module_sees_the_path_behind_its_prefix(world: Box<dyn World>) -> TrialResult {
    let app = world.run(|_| named("shop").mount("/a/b", named("desk").mount("/c", named("drawer")))).await?;
    for (sent, recorded) in [
        ("/", "shop: / of /"),
        ("/a", "shop: /a of /a"),
        ("/a/b", "desk: / of /a/b"),
        ("/a/b?q=/a/b", "desk: /?q=/a/b of /a/b?q=/a/b"),
        ("/a/b/x%2Fy%C3%A4/z", "desk: /x%2Fy%C3%A4/z of /a/b/x%2Fy%C3%A4/z"),
        ("/a/bc", "shop: /a/bc of /a/bc"),
        ("/x/a/b", "shop: /x/a/b of /x/a/b"),
        ("/a/b/c", "drawer: / of /a/b/c"),
        ("/a/b/c/a/b/c?q", "drawer: /a/b/c?q of /a/b/c/a/b/c?q"),
    ] {
        assert_eq!(app.get(sent).await?.text(), recorded, "{sent}");
    }
    // Some hosts write such paths in another way, but none of them fails.
    for (sent, module) in [("/a/b/", "desk: /"), ("/a/b//x", "desk: /"), ("//a/b", "shop: /"), ("/a/b/.", "desk: /")] {
        let answer = app.get(sent).await?;
        assert!(answer.text().starts_with(module), "{sent}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

async fn the_longest_prefix_of_whole_segments_counts(world: Box<dyn World>) -> TrialResult {
    let app = |_: &Cloud| {
        App::new("shop").mount("/a", named("short")).mount("/a/b/c", named("long")).mount("/a-b", named("other"))
    };
    let app = world.run(app).await?;
    for (sent, name) in
        [("/a", "short"), ("/a/b", "short"), ("/a/b/c", "long"), ("/a/b/cd", "short"), ("/a-b/a", "other")]
    {
        assert!(app.get(sent).await?.text().starts_with(name), "{sent}");
    }
    // The app itself answers no requests.
    assert_eq!(app.get("/b").await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

async fn a_module_at_the_root_brings_the_routes(world: Box<dyn World>) -> TrialResult {
    for root in ["", "/"] {
        let app = world.run(move |_| App::new("shop").mount("/a", named("desk")).mount(root, named("front"))).await?;
        assert_eq!(app.get("/b?c").await?.text(), "front: /b?c of /b?c");
        assert_eq!(app.get("/a/b").await?.text(), "desk: /b of /a/b");
    }
    Ok(())
}

async fn modules_share_what_they_open(world: Box<dyn World>) -> TrialResult {
    let writer = |cloud: &Cloud| {
        App::new("writer")
            .with_state(cloud.table::<u32>("counts").write_only())
            .on_message(&cloud.topic::<u32>("jobs"), async |counts, job, _cx| {
                counts.put("last", &job.body).await.map(drop)
            })
            .build()
    };
    let reader = |cloud: &Cloud| {
        let counts = cloud.table::<u32>("counts").read_only();
        let read = async |counts: Table<u32>, _: (), _cx| counts.get("last").await;
        App::new("reader").with_state(counts).on_invoke("last", read).build()
    };
    // Without HTTP there is nothing that two modules at one prefix could both answer.
    let app = move |cloud: &Cloud| App::new("both").mount("/", writer(cloud)).mount("/", reader(cloud));
    let app = world.run(app).await?;
    assert_eq!((app.manifest().tables().count(), app.manifest().http()), (1, false));
    world.cloud().topic::<u32>("jobs").publish(7_u32).await?;
    app.deliver().await?;
    assert_eq!(app.invoke("last", Bytes::new()).await?, "7");
    Ok(())
}
