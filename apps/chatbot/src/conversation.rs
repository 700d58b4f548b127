//! What was said, by conversation, in order: the table `conversations`.

use std::time::Duration;

use isobar::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Incoming;

/// How many messages a conversation keeps, and for how long.
const KEPT: u64 = 100;
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// One message of a conversation. The partition is the conversation, the sort key the message's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Its number in the conversation, starting at 1.
    pub(crate) number: u64,
    pub(crate) from: String,
    pub(crate) text: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Conversations(Table<Line>);

impl Conversations {
    pub(crate) fn open(cloud: &Cloud) -> Self {
        Self(cloud.table("conversations"))
    }

    /// Adds a message, unless it is stored already: a delivery may be repeated. Returns its number.
    ///
    /// The messages of a conversation are delivered one after the other, by their ordering key, so no other worker
    /// takes the same number.
    pub(crate) async fn add(&self, incoming: &Incoming) -> Result<u64> {
        let conversation = incoming.place.conversation();
        let key = Key::new(&conversation, &incoming.order);
        if let Some(line) = self.0.get(&key).await? {
            return Ok(line.number);
        }
        let last = self.0.query(&conversation).descending().limit(1).page().await?;
        let number = last.items.first().map_or(1, |entry| entry.value.number + 1);
        let line = Line { number, from: incoming.from.clone(), text: incoming.text.clone() };
        self.0.put_with(key, &line, key_value::PutOptions::default().with_ttl(KEPT_FOR)).await?;
        self.trim(&conversation, number).await?;
        Ok(number)
    }

    /// Up to `limit` messages before this one, oldest first.
    pub(crate) async fn before(&self, incoming: &Incoming, limit: usize) -> Result<Vec<Line>> {
        let earlier = self.0.query(incoming.place.conversation()).range(..incoming.order.as_str());
        let page = earlier.descending().limit(limit).page().await?;
        Ok(page.items.into_iter().rev().map(|entry| entry.value).collect())
    }

    /// One comes, one goes; a few more where an earlier trim was cut short.
    async fn trim(&self, conversation: &str, newest: u64) -> Result<()> {
        if newest <= KEPT {
            return Ok(());
        }
        let oldest = self.0.query(conversation).limit(4).page().await?;
        for entry in oldest.items.iter().filter(|entry| entry.value.number + KEPT <= newest) {
            self.0.delete(&entry.key).await?;
        }
        Ok(())
    }
}
