//! Dead letters: listing, redrive and deletion.

use isobar_abstraction::driver::pub_sub::DeadLetter;
use isobar_abstraction::{EventQueue, Result};
use redb::WriteTransaction;

use super::lane::{DEAD, Lane, note_time, take_sequence};
use super::look::{open, row};
use super::queue::Queue;
use super::record::{DeadLetterDetails, number_in};
use crate::store::failed;

/// The most dead letters of one transaction, which bounds its memory.
const BATCH: usize = 100;

impl Queue {
    /// Up to `limit` dead letters after this id, the first published first.
    pub(crate) fn dead_letters(&self, queue: &EventQueue, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>> {
        let read = self.store().read()?;
        let Some(row) = row(&read, queue)? else { return Ok(Vec::new()) };
        let first = after.map_or(0, |after| after.saturating_add(1));
        let all = open(&read, DEAD)?.range((row.number, first)..=(row.number, u64::MAX)).map_err(failed)?;
        let mut dead_letters = Vec::new();
        for stored in all.take(limit) {
            let (place, stored) = stored.map_err(failed)?;
            let (details, record) = DeadLetterDetails::decode(stored.value())?;
            dead_letters.push(details.into_letter(place.value().1, record));
        }
        Ok(dead_letters)
    }

    /// Puts dead letters back, all or those with these ids, as if they were published now.
    /// Returns how many.
    pub(crate) async fn redrive(&self, queue: &EventQueue, ids: Option<Vec<String>>) -> Result<usize> {
        self.change_dead_letters(queue, ids, redrive).await
    }

    /// Deletes dead letters, all or those with these ids. Returns how many.
    pub(crate) async fn drop_dead_letters(&self, queue: &EventQueue, ids: Option<Vec<String>>) -> Result<usize> {
        self.change_dead_letters(queue, ids, delete).await
    }

    async fn change_dead_letters(
        &self,
        queue: &EventQueue,
        ids: Option<Vec<String>>,
        change: fn(&WriteTransaction, &EventQueue, &[u64], u64) -> Result<usize>,
    ) -> Result<usize> {
        // Read before the first is redriven, so that one that fails again meanwhile is not redriven twice.
        let mut ids: Vec<u64> = match ids {
            Some(ids) => ids.iter().filter_map(|id| number_in(id)).collect(),
            None => self.dead_ids(queue)?,
        };
        ids.sort_unstable();
        ids.dedup();
        let mut count = 0;
        for ids in ids.chunks(BATCH) {
            let (queue, ids, time) = (queue.clone(), ids.to_vec(), self.time());
            count += self.write(move |transaction| change(transaction, &queue, &ids, time.now_ms())).await?;
        }
        Ok(count)
    }

    fn dead_ids(&self, queue: &EventQueue) -> Result<Vec<u64>> {
        let read = self.store().read()?;
        let Some(row) = row(&read, queue)? else { return Ok(Vec::new()) };
        let all = open(&read, DEAD)?.range((row.number, 0)..=(row.number, u64::MAX)).map_err(failed)?;
        all.map(|stored| stored.map(|(place, _)| place.value().1)).collect::<Result<_, _>>().map_err(failed)
    }
}

fn redrive(transaction: &WriteTransaction, queue: &EventQueue, ids: &[u64], now_ms: u64) -> Result<usize> {
    let redrive = |lane: &mut Lane<'_>| {
        let mut count = 0;
        note_time(transaction, now_ms)?;
        for &id in ids {
            let Some(stored) = lane.take_dead_letter(id)? else { continue };
            let (_, record) = DeadLetterDetails::decode(&stored)?;
            let record = record.with_id(id);
            // A new place at the end: the later messages of its ordering key may be gone already.
            let sequence = take_sequence(transaction, 1)?;
            lane.append(sequence, now_ms, record.ordering_key(), &record.encode()?)?;
            count += 1;
        }
        Ok(count)
    };
    Ok(Lane::with(transaction, queue, redrive)?.unwrap_or_default())
}

fn delete(transaction: &WriteTransaction, queue: &EventQueue, ids: &[u64], _: u64) -> Result<usize> {
    let delete = |lane: &mut Lane<'_>| {
        let mut count = 0;
        for &id in ids {
            count += usize::from(lane.take_dead_letter(id)?.is_some());
        }
        Ok(count)
    };
    Ok(Lane::with(transaction, queue, delete)?.unwrap_or_default())
}
