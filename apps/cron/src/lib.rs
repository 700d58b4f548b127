//! Every five minutes: asks an API with a token, keeps the answer. Each stage has its own API and token.
use std::time::Duration;

use isobar::{BoxError, clock::to_rfc3339, prelude::*};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Settings {
    api: String,
}

#[derive(Clone)]
struct Poll(Config<Settings>, Secret, Table<Value>, reqwest::Client);

impl Poll {
    async fn run(self, tick: Tick, _cx: Context) -> Result<(), BoxError> {
        let Self(settings, token, seen, http) = self;
        let request = http.get(&settings.get().await?.api).bearer_auth(token.get().await?.reveal());
        let answer: Value = request.send().await?.error_for_status()?.json().await?;
        Ok(seen.put(("poll", to_rfc3339(tick.due)), &answer).await.map(drop)?)
    }
}

/// The app.
pub fn app(cloud: &Cloud) -> App {
    let poll = Poll(cloud.config("settings"), cloud.secret("api-token"), cloud.table("seen"), reqwest::Client::new());
    App::new("cron").with_state(poll).on_schedule("poll", every(Duration::from_secs(300)), Poll::run).build()
}
