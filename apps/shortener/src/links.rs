//! What is kept of links, and in which order it is written.
//!
//! All data is in the table `links`:
//!
//! | partition | sort | value |
//! |---|---|---|
//! | `link/{id}` | | the link |
//! | `link/{id}` | `clicks` | its counter |
//! | `link/{id}` | `seen/{message}` | a click that was counted |
//! | `newest` | `{time}/{id}` | the id: all links in the order of their making |
//! | `total` | `clicks`, `seen/{message}` | the counter of all clicks |

use std::time::{Duration, SystemTime};

use isobar::clock::to_millis;
use isobar::prelude::*;
use serde::{Deserialize, Serialize};

/// A short link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) url: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Links {
    links: Table<Link>,
    newest: Table<String>,
    counts: Table<i64>,
}

const NEWEST: &str = "newest";
const TOTAL: &str = "total";
const CLICKS: &str = "clicks";

/// 62^7 ids: that a new one is taken has a chance of one in a million after 3.5 million links.
const ID_LENGTH: usize = 7;
const ID_TRIES: usize = 10;

/// No queue delivers a message again after this; SQS keeps one for at most 14 days.
const REMEMBERED: Duration = Duration::from_secs(14 * 24 * 3600);

impl Links {
    pub(crate) fn open(cloud: &Cloud) -> Self {
        Self { links: cloud.table("links"), newest: cloud.table("links"), counts: cloud.table("links") }
    }

    /// Stores a link under a new id.
    ///
    /// A crash on the way loses nothing: the link comes last, so that whatever can be followed has
    /// its counter and its place in the index, and an entry without a link is skipped there.
    pub(crate) async fn create(&self, link: &Link, ttl: Option<Duration>, now: SystemTime) -> Result<String> {
        let id = self.take_id(ttl).await?;
        let place = format!("{:013}/{id}", to_millis(now));
        self.newest.put_with((NEWEST, place), &id, living(ttl)).await?;
        self.links.put_with(partition(&id), link, living(ttl)).await?;
        Ok(id)
    }

    /// Takes a free id by creating its counter.
    async fn take_id(&self, ttl: Option<Duration>) -> Result<String> {
        // `add` to an expired counter would start a new one that never expires: a late click must
        // still find the one that goes with its link.
        let mut create = living(ttl.map(|ttl| ttl + REMEMBERED));
        create.mode = PutMode::Create;
        for _ in 0..ID_TRIES {
            let id = new_id()?;
            match self.counts.put_with((partition(&id), CLICKS), &0, create.clone()).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return made.map(|_| id),
            }
        }
        Err(Error::internal(format!("{ID_TRIES} random ids were taken; make the ids longer")))
    }

    /// The link, unless there is none or it has expired.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Link>> {
        if is_id(id) { self.links.get(partition(id)).await } else { Ok(None) }
    }

    /// The newest links with their ids, newest first.
    pub(crate) async fn newest(&self, limit: usize) -> Result<Vec<(String, Link)>> {
        let page = self.newest.query(NEWEST).descending().limit(limit).page().await?;
        let ids: Vec<String> = page.items.into_iter().map(|entry| entry.value).collect();
        let links = self.links.get_many(ids.iter().map(|id| partition(id))).await?;
        Ok(ids.into_iter().zip(links).filter_map(|(id, link)| Some((id, link?))).collect())
    }

    /// How often a link was followed; `None` where there is no such link.
    pub(crate) async fn clicks(&self, id: &str) -> Result<Option<i64>> {
        match self.find(id).await? {
            Some(_) => Ok(Some(self.counts.get((partition(id), CLICKS)).await?.unwrap_or_default())),
            None => Ok(None),
        }
    }

    /// How often links were followed in all.
    pub(crate) async fn all_clicks(&self) -> Result<i64> {
        Ok(self.counts.get((TOTAL, CLICKS)).await?.unwrap_or_default())
    }

    /// Counts a click, however often its message is delivered.
    pub(crate) async fn count(&self, id: &str, message: &str) -> Result<()> {
        self.count_once(&partition(id), message).await?;
        self.count_once(TOTAL, message).await
    }

    /// The mark and the count are one write: neither a crash nor another delivery comes between them.
    async fn count_once(&self, partition: &str, message: &str) -> Result<()> {
        let first = key_value::PutOptions::from(PutMode::Create).with_ttl(REMEMBERED);
        let counted = self.counts.transact(partition).put_with(format!("seen/{message}"), &1, first).add(CLICKS, 1);
        match counted.commit().await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            counted => counted.map(drop),
        }
    }
}

fn partition(id: &str) -> String {
    format!("link/{id}")
}

fn living(ttl: Option<Duration>) -> key_value::PutOptions {
    ttl.map_or_else(key_value::PutOptions::default, |ttl| key_value::PutOptions::default().with_ttl(ttl))
}

/// An id that cannot be guessed from earlier ones.
fn new_id() -> Result<String> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::with_capacity(ID_LENGTH);
    while id.len() < ID_LENGTH {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Error::internal("the machine has no randomness"))?;
        // Six bits each; what is past the characters is left out, so that each character is as likely.
        let characters = random.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
        id.extend(characters.take(ID_LENGTH - id.len()).map(|character| char::from(*character)));
    }
    Ok(id)
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
