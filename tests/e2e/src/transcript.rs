//! Transcripts: the responses of an app as lines of text, which must be the same on every host.

// A failed step fails the trial.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use isobar::pub_sub::DeadLetter;
use isobar::{App, Body, Cloud, EventQueue, Result, TestResponse};
use serde_json::{Value, json};

use crate::telegram::Telegram;
use isobar_conformance::{Harness, HarnessResult, Provided, RunningApp, World};

/// The requests of a user of the app `shortener`, and its responses.
pub async fn shortener(backend: &dyn Harness, app: fn(&Cloud) -> Result<App>) -> HarnessResult<Vec<String>> {
    let world = backend.open().await?;
    let app = world.run(app).await?;
    let mut lines = vec![serde_json::to_string(app.manifest())?];
    let mut transcript = Transcript { app: app.as_ref(), lines: &mut lines, ids: Vec::new() };
    transcript.post(r#"{"url": "https://example.org/a?b=c&d=%20e"}"#).await?;
    transcript.get("/{id}").await?;
    transcript.get("/{id}").await?;
    transcript.app.deliver().await?;
    transcript.get("/{id}/stats").await?;
    transcript.get("/missing").await?;
    transcript.get("/missing/stats").await?;
    transcript.bad_requests().await?;
    transcript.post(r#"{"url": "https://example.org/short-lived", "ttl_seconds": 60}"#).await?;
    transcript.get("/{id}").await?;
    world.advance(Duration::from_secs(60))?;
    transcript.get("/{id}").await?;
    transcript.get("/index.html").await?;
    transcript.app.tick("sweep").await?;
    transcript.get("/index.html").await?;
    transcript.invoke(r#"{"id": "missing"}"#).await?;
    transcript.invoke(r#"{"id": 7}"#).await?;
    transcript.poison(world.as_ref()).await?;
    Ok(lines)
}

/// The messages of users to the app `chatbot` through Telegram, and its replies.
pub async fn chatbot(backend: &dyn Harness, app: fn(&Cloud) -> App) -> HarnessResult<Vec<String>> {
    let (world, telegram) = (backend.open().await?, Telegram::start().await?);
    for (name, value) in telegram.values() {
        world.set_secret(name, Some(&value)).await?;
    }
    let app = world.run(app).await?;
    let mut lines = vec![serde_json::to_string(app.manifest())?];
    let mut transcript = Transcript { app: app.as_ref(), lines: &mut lines, ids: Vec::new() };
    // The first is sent twice, as Telegram repeats an update whose response it missed.
    for (number, text) in [(1, "one"), (1, "one"), (2, "two, \u{1f980} <b>"), (3, "three")] {
        transcript.receive_update(text, Telegram::update(number, text)?).await?;
    }
    transcript.receive_update("{not json", Telegram::webhook("{not json".to_owned())?).await?;
    let mut stranger = Telegram::update(4, "four")?;
    stranger.headers_mut().remove("x-telegram-bot-api-secret-token");
    transcript.receive_update("a stranger", stranger).await?;
    app.deliver().await?;
    // A repeated update after the reply.
    lines.push(app.http(Telegram::update(1, "one")?).await?.status.to_string());
    app.deliver().await?;
    lines.extend(telegram.messages().iter().map(|sent| format!("sent {sent}")));
    let dead = app.dead_letters(&EventQueue::topic("incoming")).await?;
    lines.push(format!("dead {}", dead.len()));
    Ok(lines)
}

/// The requests of a user of the app `notes`, and what its triggers did.
pub async fn notes(backend: &dyn Harness, app: fn(&Cloud) -> Result<App>) -> HarnessResult<Vec<String>> {
    let world = backend.open().await?;
    let app = world.run(app).await?;
    let mut lines = vec![serde_json::to_string(app.manifest())?];
    let mut transcript = Transcript { app: app.as_ref(), lines: &mut lines, ids: Vec::new() };
    transcript.put_note("tea", "ada", "Green tea, and more TEA").await?;
    transcript.put_note("milk", "bob", "milk for the tea").await?;
    transcript.send(Method::PUT, "/files/images/cat.png", "PNG").await?;
    transcript.send(Method::PUT, "/files/cat.txt", "a text").await?;
    transcript.app.deliver().await?;
    for path in ["/notes?word=tea", "/feed/ada", "/files/thumbs/images/cat.png", "/files/thumbs/cat.txt"] {
        transcript.get(path).await?;
    }
    // Before the wait: some harnesses deliver until no message waits, also for its delay.
    transcript.send(Method::POST, "/notes/milk/remind?in=2", "").await?;
    transcript.get("/due").await?;
    world.advance(Duration::from_secs(2))?;
    transcript.deliver_until_dead(2).await?;
    transcript.get("/due").await?;
    transcript.send(Method::POST, "/notes/milk/remind?in=901", "").await?;
    transcript.dead_activities().await?;

    // Before the next activities, which a platform can deliver meanwhile.
    let redriven = transcript.app.redrive(&MIRROR.into()).await?;
    transcript.lines.push(format!("redriven {redriven}"));
    transcript.put_note("tea", "ada", "coffee").await?;
    transcript.send(Method::DELETE, "/notes/milk", "").await?;
    transcript.send(Method::DELETE, "/files/images/cat.png", "").await?;
    transcript.app.deliver().await?;
    world.advance(Duration::from_secs(1))?;
    transcript.deliver_until_dead(4).await?;
    let paths = ["/notes?word=tea", "/notes?word=coffee", "/feed/ada", "/feed/bob", "/files/thumbs/images/cat.png"];
    for path in paths {
        transcript.get(path).await?;
    }
    transcript.dead_activities().await?;
    // A delete is no event: a search leaves the note out, before and after the index is purged.
    for _ in 0..2 {
        transcript.get("/notes?word=milk").await?;
        transcript.app.tick("purge").await?;
    }
    Ok(lines)
}

/// The subscription that always fails.
const MIRROR: (&str, &str) = ("activity", "mirror");

/// Panics at the first line that differs.
pub fn assert_same(expected: &[String], found: &[String], host: &str) {
    assert!(expected.len() > 8, "the transcript is too short: {expected:#?}");
    for (place, (expected, found)) in expected.iter().zip(found).enumerate() {
        assert_eq!(expected, found, "line {place} differs on {host}");
    }
    assert_eq!(expected.len(), found.len(), "{host}");
}

struct Transcript<'a> {
    app: &'a dyn RunningApp,
    lines: &'a mut Vec<String>,
    ids: Vec<String>,
}

impl Transcript<'_> {
    async fn send(&mut self, method: Method, path: &str, body: &str) -> HarnessResult<TestResponse> {
        let path = path.replace("{id}", self.ids.last().map_or("", String::as_str));
        let request = Request::builder().method(method.clone()).uri(&path).header("host", "isobar.example");
        let request = request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
        let response = self.app.http(request).await?;
        self.add(&format!("{method} {path}"), &response);
        Ok(response)
    }

    /// Adds a request and its response. Ids are random, and replaced by `{id}`.
    fn add(&mut self, request: &str, response: &TestResponse) {
        // Gateways add a type to an empty body.
        let is_kept = |name: &&str| *name != "content-type" || !response.body.is_empty();
        let value = |name| response.header(name).filter(|_| is_kept(&name)).unwrap_or("-");
        // `x-request-id` is left out: it is the id of the invocation, which is new in every run.
        let headers = ["content-type", "location", "retry-after"].map(|name| format!("{name}: {}", value(name)));
        let line = format!("{request} -> {} {} {}", response.status.as_u16(), headers.join(", "), response.text());
        self.lines.push(self.ids.iter().fold(line, |line, id| line.replace(id, "{id}")));
    }

    async fn receive_update(&mut self, what: &str, request: Request<Body>) -> HarnessResult<()> {
        let response = self.app.http(request).await?;
        self.add(what, &response);
        Ok(())
    }

    async fn get(&mut self, path: &str) -> HarnessResult<()> {
        self.send(Method::GET, path, "").await.map(drop)
    }

    async fn post(&mut self, body: &str) -> HarnessResult<()> {
        let response = self.send(Method::POST, "/", body).await?;
        let link: Value = response.json()?;
        let id = link["id"].as_str().unwrap().to_owned();
        let line = self.lines.pop().unwrap();
        self.lines.push(line.replace(&id, "{id}"));
        self.ids.push(id);
        Ok(())
    }

    async fn bad_requests(&mut self) -> HarnessResult<()> {
        for body in ["", "{", r#"{"url": 7}"#, r#"{"url": "ftp://example.org"}"#, r#"{"url": "https://"}"#] {
            self.send(Method::POST, "/", body).await?;
        }
        let large = format!(r#"{{"url": "https://example.org/{}"}}"#, "x".repeat(4_500_000));
        self.send(Method::POST, "/", &large).await?;
        self.send(Method::DELETE, "/", "").await.map(drop)
    }

    async fn put_note(&mut self, id: &str, user: &str, text: &str) -> HarnessResult<()> {
        let note = json!({ "user": user, "text": text }).to_string();
        self.send(Method::PUT, &format!("/notes/{id}"), &note).await.map(drop)
    }

    /// Delivers until a reminder is due and this number of activities is dead. The clock of a deployed app is the machine's,
    /// and its services count whole seconds. After 10 s without them the transcript differs.
    async fn deliver_until_dead(&self, count: usize) -> HarnessResult<()> {
        for _ in 0..100 {
            self.app.deliver().await?;
            let dead = self.app.dead_letters(&MIRROR.into()).await?.len();
            if dead == count && self.app.get("/due").await?.text() != "[]" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Adds the dead letters of the mirror, whose order is not defined.
    async fn dead_activities(&mut self) -> HarnessResult<()> {
        let dead = self.app.dead_letters(&MIRROR.into()).await?;
        let text = |body: &Bytes| String::from_utf8_lossy(body).into_owned();
        // The command that sets a value is that of the provider.
        let reason = |it: &DeadLetter| it.reason.split("; ").next().unwrap_or_default().to_owned();
        let dead = dead.iter().map(|it| format!("dead after {}: {} {}", it.attempts, reason(it), text(&it.body)));
        let mut dead: Vec<_> = dead.collect();
        dead.sort();
        self.lines.extend(dead);
        Ok(())
    }

    async fn invoke(&mut self, payload: &'static str) -> HarnessResult<()> {
        let line = match self.app.invoke("stats", Bytes::from_static(payload.as_bytes())).await.provided()? {
            Ok(answer) => format!("stats {payload} -> {}", String::from_utf8_lossy(&answer)),
            Err(error) => format!("stats {payload} -> {}", error.kind().name()),
        };
        self.lines.push(line);
        Ok(())
    }

    /// Publishes a message that no handler can decode, and adds the dead letter.
    async fn poison(&mut self, world: &dyn World) -> HarnessResult<()> {
        world.cloud().topic::<Bytes>("clicks").publish(Bytes::from_static(b"{not json")).await?;
        self.app.deliver().await?;
        for dead_letter in self.app.dead_letters(&EventQueue::topic("clicks")).await? {
            // Ids of messages are the provider's own.
            let reason = dead_letter.reason.replace(&dead_letter.id, "{message}");
            self.lines.push(format!("dead after {}: {reason}", dead_letter.attempts));
        }
        Ok(())
    }
}
