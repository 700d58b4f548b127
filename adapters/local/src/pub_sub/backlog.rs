//! The backlog of one queue, for a tool. The folder is open in one process only, so the leases of a tool are its memory and
//! end with it; the messages that a process leased before are free.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use isobar_abstraction::clock::later;
use isobar_abstraction::driver::Settlement;
use isobar_abstraction::driver::pub_sub::{
    Backlog, BacklogCount, BacklogMessage, BacklogPart, LeasedMessage, each_failed,
};
use isobar_abstraction::{Error, EventQueue, Result};
use redb::WriteTransaction;

use super::held::HeldOfQueue;
use super::lane::{DEAD, DUE, Lane, Row, make_known, note_time, take_sequence};
use super::look::{open, row};
use super::queue::{Leased, Queue, due_ms};
use super::record::{DeadLetterDetails, Record};
use crate::store::failed;

/// The backlog of a queue; its source has the physical name.
#[derive(Debug)]
pub(crate) struct LocalBacklog {
    queue: Queue,
    of: EventQueue,
}

impl LocalBacklog {
    pub(crate) fn new(queue: Queue, of: EventQueue) -> Self {
        Self { queue, of }
    }

    fn with_held<T>(&self, with: impl FnOnce(&mut HeldOfQueue) -> T) -> T {
        with(self.queue.held().queues.lock().entry(self.of.clone()).or_default())
    }

    /// Releases what was leased by a process that ended, and by a tool whose lease ended.
    async fn end_leases(&self, now: SystemTime) -> Result<()> {
        let is_first = !self.queue.held().queues.lock().contains_key(&self.of);
        if is_first && !self.queue.held().subscribed.load(Ordering::Relaxed) {
            let (of, time) = (self.of.clone(), self.queue.time());
            let end = move |transaction: &WriteTransaction| {
                Lane::with(transaction, &of, |lane| lane.end_all_leases(time.now_ms()))
            };
            self.queue.write(end).await?;
        }
        let ended = self.with_held(|held| {
            held.dead.retain(|_, until| *until > now);
            let ended = held.waiting.extract_if(|_, (until, _)| *until <= now);
            ended.map(|(sequence, (_, message))| Leased { sequence, message }).collect::<Vec<_>>()
        });
        if ended.is_empty() { Ok(()) } else { self.queue.release(&self.of, ended).await }
    }

    fn lease_dead(&self, limit: usize, until: SystemTime) -> Result<Vec<LeasedMessage>> {
        let read = self.queue.store().read()?;
        let Some(Row { number, .. }) = row(&read, &self.of)? else { return Ok(Vec::new()) };
        let mut leased = Vec::new();
        for stored in open(&read, DEAD)?.range((number, 0)..=(number, u64::MAX)).map_err(failed)? {
            let (place, stored) = stored.map_err(failed)?;
            let (_, id) = place.value();
            if leased.len() < limit && self.with_held(|held| held.dead.insert(id, until).is_none()) {
                let (details, record) = DeadLetterDetails::decode(stored.value())?;
                let message = BacklogMessage::new(record.into_message(id, details.attempts));
                leased.push(LeasedMessage::new(message.with_dead(details.portable()), id.to_string()));
            }
        }
        Ok(leased)
    }

    /// Ends leases of this process: applies the settlement, or releases the messages.
    async fn end(&self, receipts: Vec<String>, settlement: Option<Settlement>) -> Vec<Result<()>> {
        let messages: Vec<_> = self.with_held(|held| {
            let take = |receipt: &String| {
                let sequence = receipt.parse().ok()?;
                Some(Leased { sequence, message: held.waiting.remove(&sequence)?.1 })
            };
            receipts.iter().map(take).collect()
        });
        let results = messages.iter().map(|leased| leased.as_ref().map(drop).ok_or_else(not_leased)).collect();
        let messages: Vec<_> = messages.into_iter().flatten().collect();
        let ended = match settlement {
            Some(settlement) => {
                let settled = messages.into_iter().map(|leased| (leased, settlement.clone())).collect();
                self.queue.settle(&self.of, settled).await
            }
            None => self.queue.release(&self.of, messages).await,
        };
        ended.map_or_else(|error| each_failed(&error, receipts.len()), |()| results)
    }

    async fn delete_dead(&self, receipts: Vec<String>) -> Vec<Result<()>> {
        let ids: Vec<Option<u64>> = receipts.iter().map(|receipt| receipt.parse().ok()).collect();
        self.with_held(|held| held.dead.retain(|id, _| !ids.contains(&Some(*id))));
        let of = self.of.clone();
        let delete = move |transaction: &WriteTransaction| {
            let deleted = Lane::with(transaction, &of, |lane| {
                ids.iter()
                    .map(|id| Ok(id.map(|id| lane.take_dead_letter(id)).transpose()?.flatten().is_some()))
                    .collect()
            });
            Ok(deleted?.unwrap_or_else(|| vec![false; ids.len()]))
        };
        match self.queue.write(delete).await {
            Ok(deleted) => {
                deleted.into_iter().map(|deleted| if deleted { Ok(()) } else { Err(not_leased()) }).collect()
            }
            Err(error) => each_failed(&error, receipts.len()),
        }
    }

    async fn store(&self, part: BacklogPart, messages: &[BacklogMessage]) -> Result<()> {
        let encode = |sent: &BacklogMessage| {
            let record = Record::of_sent(&sent.message);
            let key = record.ordering_key().map(str::to_owned);
            let record = record.encode()?;
            Ok(match part {
                BacklogPart::Waiting => (sent.due, sent.attempts(), key, record),
                BacklogPart::Dead => (None, 0, None, DeadLetterDetails::of_portable(sent.details()).encode(&record)?),
            })
        };
        let encoded = messages.iter().map(encode).collect::<Result<Vec<_>>>()?;
        let (of, time) = (self.of.clone(), self.queue.time());
        let store = move |transaction: &WriteTransaction| {
            let now_ms = time.now_ms();
            note_time(transaction, now_ms)?;
            make_known(transaction, &of)?;
            let mut sequence = take_sequence(transaction, encoded.len() as u64)?;
            Lane::with(transaction, &of, |lane| {
                for (due, attempts, key, record) in &encoded {
                    match part {
                        BacklogPart::Waiting => {
                            let due_ms = due.map_or(now_ms, |due| due_ms(due, Duration::ZERO));
                            lane.append_again(sequence, due_ms, key.as_deref(), record, *attempts)?;
                        }
                        BacklogPart::Dead => lane.insert_dead_letter(sequence, record)?,
                    }
                    sequence += 1;
                }
                Ok(())
            })
        };
        self.queue.write(store).await.map(drop)
    }
}

fn not_leased() -> Error {
    Error::not_found("the message is not leased any more")
}

#[async_trait]
impl Backlog for LocalBacklog {
    async fn count(&self) -> Result<BacklogCount> {
        let read = self.queue.store().read()?;
        let mut count = BacklogCount::UNKNOWN;
        let known = row(&read, &self.of)?;
        let Row { number, waiting, leased, dead, .. } = known.unwrap_or_default();
        let later = (number, self.queue.time().now_ms() + 1, 0)..=(number, u64::MAX, u64::MAX);
        let delayed = if known.is_some() { open(&read, DUE)?.range(later).map_err(failed)?.count() as u64 } else { 0 };
        (count.waiting, count.delayed) = (Some(waiting.saturating_sub(delayed)), Some(delayed));
        (count.leased, count.dead) = (Some(leased), Some(dead));
        Ok(count)
    }

    async fn lease(&self, part: BacklogPart, limit: usize, lease: Duration) -> Result<Vec<LeasedMessage>> {
        let now = self.queue.time().now();
        self.end_leases(now).await?;
        let until = later(now, lease);
        if part == BacklogPart::Dead {
            return self.lease_dead(limit, until);
        }
        let leased = self.queue.lease(&self.of, limit).await?;
        self.with_held(|held| held.waiting.extend(leased.iter().map(|it| (it.sequence, (until, it.message.clone())))));
        let message = |it: Leased| LeasedMessage::new(BacklogMessage::new(it.message), it.sequence.to_string());
        Ok(leased.into_iter().map(message).collect())
    }

    async fn acknowledge(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        match part {
            BacklogPart::Waiting => self.end(receipts, Some(Settlement::Done)).await,
            BacklogPart::Dead => self.delete_dead(receipts).await,
        }
    }

    async fn release(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        if part == BacklogPart::Waiting {
            return self.end(receipts, None).await;
        }
        self.with_held(|held| {
            let mut release = |receipt: String| receipt.parse().ok().and_then(|id: u64| held.dead.remove(&id));
            receipts.into_iter().map(|receipt| release(receipt).map(drop).ok_or_else(not_leased)).collect()
        })
    }

    async fn send(&self, part: BacklogPart, messages: Vec<BacklogMessage>) -> Vec<Result<()>> {
        match self.store(part, &messages).await {
            Ok(()) => messages.iter().map(|_| Ok(())).collect(),
            Err(error) => each_failed(&error, messages.len()),
        }
    }
}
