//! What an app does, as lines of text that must be the same wherever it runs.

// What a transcript cannot be written without is a failure of its trial.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::{Method, Request};
use isobar::driver::ResourceKind;
use isobar::{App, Body, Cloud, Result, TestResponse};

use crate::telegram::Telegram;
use isobar_conformance::{Backend, RunningApp, World};

/// What a person does with the app `shortener`, and what they see: the same on every host.
pub async fn shortener(backend: &dyn Backend, app: fn(&Cloud) -> Result<App>) -> Result<Vec<String>> {
    let world = backend.open().await?;
    let app = world.run(app).await?;
    let mut lines = vec![serde_json::to_string(app.manifest())?];
    let mut said = Said { app: app.as_ref(), lines: &mut lines, ids: Vec::new() };
    said.post(r#"{"url": "https://example.org/a?b=c&d=%20e"}"#).await?;
    said.get("/{id}").await?;
    said.get("/{id}").await?;
    said.app.deliver().await?;
    said.get("/{id}/stats").await?;
    said.get("/nobody").await?;
    said.get("/nobody/stats").await?;
    said.bad_requests().await?;
    said.post(r#"{"url": "https://example.org/short-lived", "ttl_seconds": 60}"#).await?;
    said.get("/{id}").await?;
    world.advance(std::time::Duration::from_secs(60));
    said.get("/{id}").await?;
    said.get("/index.html").await?;
    said.app.tick("sweep").await?;
    said.get("/index.html").await?;
    said.invoke(r#"{"id": "nobody"}"#).await;
    said.invoke(r#"{"id": 7}"#).await;
    said.poison(world.as_ref()).await?;
    Ok(lines)
}

/// What people say to the app `chatbot` through Telegram, and what it replies: the same on every host. The app has
/// the variables of this double.
pub async fn chatbot(
    backend: &dyn Backend,
    telegram: &Telegram,
    app: impl FnOnce(&Cloud) -> App + Send + 'static,
) -> Result<Vec<String>> {
    let world = backend.open().await?;
    let app = world.run(app).await?;
    let mut lines = vec![serde_json::to_string(app.manifest())?];
    let mut said = Said { app: app.as_ref(), lines: &mut lines, ids: Vec::new() };
    // The first comes twice, as Telegram sends what it believes to be lost.
    for (number, text) in [(1, "one"), (1, "one"), (2, "two, \u{1f980} <b>"), (3, "three")] {
        said.hear(text, Telegram::update(number, text)?).await?;
    }
    said.hear("{not json", Telegram::webhook("{not json".to_owned())?).await?;
    let mut stranger = Telegram::update(4, "four")?;
    stranger.headers_mut().remove("x-telegram-bot-api-secret-token");
    said.hear("a stranger", stranger).await?;
    app.deliver().await?;
    // And again, when it has been replied to.
    lines.push(app.http(Telegram::update(1, "one")?).await?.status.to_string());
    app.deliver().await?;
    lines.extend(telegram.seen().iter().map(|sent| format!("sent {sent}")));
    let dead = app.dead_letters(ResourceKind::Topic, "incoming").await?;
    lines.push(format!("dead {}", dead.len()));
    Ok(lines)
}

/// Fails with the first line that differs.
pub fn assert_same(expected: &[String], found: &[String], host: &str) {
    assert!(expected.len() > 8, "the transcript is short: {expected:#?}");
    for (place, (expected, found)) in expected.iter().zip(found).enumerate() {
        assert_eq!(expected, found, "line {place} differs on {host}");
    }
    assert_eq!(expected.len(), found.len(), "{host}");
}

struct Said<'a> {
    app: &'a dyn RunningApp,
    lines: &'a mut Vec<String>,
    ids: Vec<String>,
}

impl Said<'_> {
    async fn send(&mut self, method: Method, path: &str, body: &str) -> Result<TestResponse> {
        let path = path.replace("{id}", self.ids.last().map_or("", String::as_str));
        let request = Request::builder().method(method.clone()).uri(&path).header("host", "isobar.example");
        let request = request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
        let response = self.app.http(request).await?;
        self.tell(&format!("{method} {path}"), &response);
        Ok(response)
    }

    /// Ids are random, and stand in the transcript as `{id}`.
    fn tell(&mut self, request: &str, response: &TestResponse) {
        // Gateways give a type to a body that is not there.
        let typed = |name: &&str| *name != "content-type" || !response.body.is_empty();
        let told = |name| response.header(name).filter(|_| typed(&name)).unwrap_or("-");
        // `x-request-id` is left out: it is the id of the invocation, another one in every run.
        let headers = ["content-type", "location", "retry-after"].map(|name| format!("{name}: {}", told(name)));
        let line = format!("{request} -> {} {} {}", response.status.as_u16(), headers.join(", "), response.text());
        self.lines.push(self.ids.iter().fold(line, |line, id| line.replace(id, "{id}")));
    }

    async fn hear(&mut self, what: &str, request: Request<Body>) -> Result<()> {
        let response = self.app.http(request).await?;
        self.tell(what, &response);
        Ok(())
    }

    async fn get(&mut self, path: &str) -> Result<()> {
        self.send(Method::GET, path, "").await.map(drop)
    }

    async fn post(&mut self, body: &str) -> Result<()> {
        let response = self.send(Method::POST, "/", body).await?;
        let told: serde_json::Value = response.json()?;
        let id = told["id"].as_str().unwrap().to_owned();
        let line = self.lines.pop().unwrap();
        self.lines.push(line.replace(&id, "{id}"));
        self.ids.push(id);
        Ok(())
    }

    async fn bad_requests(&mut self) -> Result<()> {
        for body in ["", "{", r#"{"url": 7}"#, r#"{"url": "ftp://example.org"}"#, r#"{"url": "https://"}"#] {
            self.send(Method::POST, "/", body).await?;
        }
        let large = format!(r#"{{"url": "https://example.org/{}"}}"#, "x".repeat(4_500_000));
        self.send(Method::POST, "/", &large).await?;
        self.send(Method::DELETE, "/", "").await.map(drop)
    }

    async fn invoke(&mut self, payload: &'static str) {
        let line = match self.app.invoke("stats", Bytes::from_static(payload.as_bytes())).await {
            Ok(answer) => format!("stats {payload} -> {}", String::from_utf8_lossy(&answer)),
            Err(error) => format!("stats {payload} -> {}", error.kind().name()),
        };
        self.lines.push(line);
    }

    /// A message that no handler can read.
    async fn poison(&mut self, world: &dyn World) -> Result<()> {
        world.cloud().topic::<Bytes>("clicks").publish(Bytes::from_static(b"{not json")).await?;
        self.app.deliver().await?;
        for letter in self.app.dead_letters(ResourceKind::Topic, "clicks").await? {
            // Ids of messages are the provider's own.
            let reason = letter.reason.replace(&letter.id, "{message}");
            self.lines.push(format!("dead after {}: {reason}", letter.attempts));
        }
        Ok(())
    }
}
