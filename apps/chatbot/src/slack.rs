//! Slack: the Events API, and `chat.postMessage`. See <https://docs.slack.dev/apis/events-api>.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use isobar::SecretValue;
use isobar::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::incoming::{Received, unverified};
use crate::web_api::WebApi;
use crate::{Incoming, Place};

/// The age after which a recorded request cannot be replayed.
const WINDOW: Duration = Duration::from_secs(5 * 60);

#[derive(Clone)]
pub(crate) struct Slack {
    pub(crate) signing_secret: Secret,
    bot_token: Secret,
    web: WebApi,
}

impl Slack {
    pub(crate) fn open(cloud: &Cloud, web: WebApi) -> Self {
        let secret = |name| cloud.secret(name).optional();
        Self { signing_secret: secret("slack-signing-secret"), bot_token: secret("slack-bot-token"), web }
    }

    /// Sends a message to a channel, and to a thread in it if there is one.
    pub(crate) async fn send(&self, channel: &str, thread: Option<&str>, text: &str) -> Result<()> {
        let (apis, token) = (self.web.apis().await?, self.bot_token.get().await?);
        let mut message = json!({ "channel": channel, "text": plain(text) });
        if let Some(thread) = thread {
            message["thread_ts"] = thread.into();
        }
        let url = format!("{}/chat.postMessage", apis.slack.trim_end_matches('/'));
        let answer = self.web.post(&url, Some(&token), &message).await?;
        if answer.body["ok"] == Value::Bool(true) {
            return Ok(());
        }
        let error = token.hide_in(answer.body["error"].as_str().unwrap_or("no error code"));
        Err(match is_passing(&error) {
            true => answer.later("Slack", &error),
            false => answer.failure("Slack", &error),
        })
    }
}

/// The signature of a request that is not too old: version `v0` of
/// <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
pub(crate) struct Signature<'a> {
    timestamp: &'a str,
    sent: &'a str,
}

impl<'a> Signature<'a> {
    pub(crate) fn new(headers: &'a HeaderMap, now: SystemTime) -> Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(sent), Some(timestamp)) = (text("x-slack-signature"), text("x-slack-request-timestamp")) else {
            return Err(unverified("the header X-Slack-Signature or X-Slack-Request-Timestamp is missing"));
        };
        let seconds = timestamp.parse::<u64>().ok();
        let Some(time) = seconds.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since)))
        else {
            return Err(unverified("the header X-Slack-Request-Timestamp is no time in seconds"));
        };
        let distance = now.duration_since(time).unwrap_or_else(|ahead| ahead.duration());
        match distance <= WINDOW {
            true => Ok(Self { timestamp, sent }),
            false => Err(unverified("the request is more than five minutes old or ahead")),
        }
    }

    pub(crate) fn verify(&self, secret: &SecretValue, body: &[u8]) -> Result<()> {
        match bool::from(sign(secret.reveal(), self.timestamp, body).as_bytes().ct_eq(self.sent.as_bytes())) {
            true => Ok(()),
            false => Err(unverified("the header X-Slack-Signature is wrong")),
        }
    }
}

fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let mut signature = "v0=".to_owned();
    // HMAC takes keys of every length, so there is always one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return signature };
    for part in [b"v0:", timestamp.as_bytes(), b":", body] {
        mac.update(part);
    }
    for byte in mac.finalize().into_bytes() {
        // Writing to a String cannot fail.
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Payload {
    UrlVerification {
        challenge: String,
    },
    EventCallback {
        #[serde(default)]
        team_id: String,
        event_id: String,
        event: Box<Event>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    subtype: Option<String>,
    bot_id: Option<String>,
    user: Option<String>,
    text: Option<String>,
    ts: Option<String>,
    thread_ts: Option<String>,
    channel: Option<String>,
    channel_type: Option<String>,
}

/// Reads a request. Errors: only where it is no JSON; what is not understood is ignored, because
/// Slack would send it again, and switch the app off after too many failures.
pub(crate) fn read(body: &[u8]) -> Result<Received> {
    let payload: Payload = match serde_json::from_slice(body) {
        Err(error) if error.is_data() => return Ok(Received::Nothing("a request of an unknown form")),
        payload => payload.map_err(|error| Error::invalid_input(format!("not JSON: {error}")))?,
    };
    Ok(match payload {
        Payload::UrlVerification { challenge } => Received::Challenge(challenge),
        Payload::EventCallback { team_id, event_id, event } => read_event(team_id, &event_id, *event),
        Payload::Other => Received::Nothing("neither an event nor a challenge"),
    })
}

fn read_event(team: String, id: &str, event: Event) -> Received {
    if event.bot_id.is_some() || event.subtype.is_some() {
        return Received::Nothing("a bot's message, or not a plain one");
    }
    // In a channel, a mention comes as `message` as well, under another id: it is replied to once.
    let direct = event.kind == "message" && event.channel_type.as_deref() == Some("im");
    if !direct && event.kind != "app_mention" {
        return Received::Nothing("neither a direct message nor a mention");
    }
    let Event { user: Some(from), text: Some(text), ts: Some(order), channel: Some(channel), thread_ts, .. } = event
    else {
        return Received::Nothing("an event without user, text, time or channel");
    };
    let place = Place::Slack { team, channel, thread: thread_ts };
    Received::Message(Incoming { event: format!("slack/{id}"), place, order, from, text })
}

/// Errors of the service's own, which come with status 200.
fn is_passing(error: &str) -> bool {
    let passing = [
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    ];
    passing.contains(&error)
}

/// Makes the control sequences that people wrote, such as `<!channel>`, plain text again: the bot's
/// echo must not notify a whole channel. Slack has escaped `&` already.
fn plain(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
    #[test]
    fn the_signature_is_that_of_slacks_own_example() {
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
            &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
            &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
            &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = sign("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body.as_bytes());
        assert_eq!(signature, "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503");
    }
}
