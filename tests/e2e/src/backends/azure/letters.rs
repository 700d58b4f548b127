//! Dead letters: where they lie, how they are read, and how they are put back.

use http::Request;
use isobar::driver::{Derived, POISON, ResourceKind};
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Error, Result};
use serde_json::{Value, json};

use super::account::Account;
use super::letter::Letter;
use super::service_bus::{Delivery, POLICY};
use super::storage::{encoded, mac};
use crate::backends::send;

impl Account {
    /// Where the dead letters of a topic or a bucket are, and where they came from.
    fn dead_of(&self, kind: ResourceKind, name: &str) -> (String, String) {
        let name = self.physical(name);
        match kind {
            ResourceKind::Bucket => {
                let events = Derived::Events.without_double_hyphen(&name);
                (format!("{events}{POISON}"), events)
            }
            _ if self.is_full() => (Derived::DeadLetters.of(&name), name),
            _ => (format!("{name}{POISON}"), name),
        }
    }

    pub(super) async fn dead_letters(&self, kind: ResourceKind, name: &str) -> Result<Vec<DeadLetter>> {
        let (place, _) = self.dead_of(kind, name);
        self.collect(kind, &place).await?;
        let dead = self.dead.lock();
        dead.iter().filter(|(of, _)| *of == place).map(|(_, letter)| letter.read()).collect()
    }

    pub(super) async fn redrive(&self, kind: ResourceKind, name: &str) -> Result<usize> {
        let (place, from) = self.dead_of(kind, name);
        self.collect(kind, &place).await?;
        let letters: Vec<_> = self.dead.lock().extract_if(.., |(of, _)| *of == place).collect();
        for (_, letter) in &letters {
            match letter {
                Letter::Queued(message) => self.storage.send(&from, &message.text).await?,
                Letter::Delivered(message) => self.put_back(&from, message).await?,
            }
        }
        Ok(letters.len())
    }

    /// Takes dead letters out of their place, and keeps them.
    async fn collect(&self, kind: ResourceKind, place: &str) -> Result<()> {
        if self.is_full() && kind == ResourceKind::Topic {
            while let Some(message) = self.bus.receive(place) {
                self.bus.complete(&message);
                self.dead.lock().push((place.to_owned(), Letter::Delivered(message)));
            }
            return Ok(());
        }
        loop {
            let messages = self.storage.receive(place, 60).await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                self.storage.delete(place, &message.id, &message.receipt).await?;
                self.dead.lock().push((place.to_owned(), Letter::Queued(message)));
            }
        }
    }

    /// Sends a dead letter to its topic as it is; one with an ordering key to the twin that keeps the order.
    async fn put_back(&self, topic: &str, letter: &Delivery) -> Result<()> {
        let meta = letter.properties.get("isobar-meta");
        let meta: Value = meta.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let (topic, session) = match meta["key"].as_str() {
            Some(key) => (Derived::Ordered.of(topic), Some(key)),
            None => (topic.to_owned(), None),
        };
        let mut broker = json!({"MessageId": format!("{}-again", letter.id)});
        if let Some(key) = session {
            broker["SessionId"] = key.into();
        }
        let body = String::from_utf8_lossy(&letter.body);
        let batch = json!([{"Body": body, "BrokerProperties": broker, "UserProperties": letter.properties}]);
        let request = Request::post(format!("{}/{topic}/messages", self.bus.url()))
            .header("authorization", self.token())
            .header("content-type", "application/vnd.microsoft.servicebus.json")
            .body(Body::from(batch.to_string()));
        let answer = send(request.map_err(|error| Error::internal("not a request").with_source(error))?).await?;
        if answer.status == 201 { Ok(()) } else { Err(Error::internal(format!("put back: {}", answer.text()))) }
    }

    /// Source: <https://learn.microsoft.com/rest/api/eventhub/generate-sas-token>.
    fn token(&self) -> String {
        let settings = self.bus.connection_string();
        let key = settings.split(';').find_map(|pair| pair.strip_prefix("SharedAccessKey=")).unwrap_or_default();
        let (uri, end) = (encoded(self.bus.url()), chrono::Utc::now().timestamp() + 600);
        let signature = mac(key.as_bytes(), &format!("{uri}\n{end}"));
        format!("SharedAccessSignature sr={uri}&sig={}&se={end}&skn={POLICY}", encoded(&signature))
    }
}
