//! The search index: which notes contain a word.
//!
//! | table `words` | | value |
//! |---|---|---|
//! | `word/{word}` | id of a note | `[]`: the note contains the word |
//! | `notes` | id of a note | the words under which the index has it |
//!
//! The index is in another table than the notes, and is written later. So a search reads the notes that it finds, and leaves
//! out those that were deleted or no longer contain the word. An entry that is left over does no harm, and a missing one is
//! added by the next attempt: a run ends with success only if it stored the list of words, which has a version.

use std::collections::BTreeSet;

use isobar::prelude::*;

use crate::note::Note;

/// The partition of the lists of words.
const NOTES: &str = "notes";

/// Longer words are not in the index.
const LONGEST_WORD: usize = 50;

#[derive(Debug, Clone)]
pub(crate) struct Index {
    notes: Table<Note>,
    words: Table<Vec<String>>,
}

impl Index {
    pub(crate) fn open(cloud: &Cloud) -> Self {
        Self { notes: cloud.table("notes"), words: cloud.table("words") }
    }

    /// Makes the index agree with the note as it is now, or with its absence.
    ///
    /// Errors: `Conflict` if another run for the same note was faster. This run may have deleted what that one wrote, so it
    /// must run again; an event does, because the error is a retry.
    pub(crate) async fn refresh(&self, id: &str) -> Result<()> {
        // The list first: the event of a later write of the note runs this too, and the version decides between the two.
        let old = self.words.get_entry((NOTES, id)).await?;
        let new = self.notes.get(id).await?.map(|note| words(&note.text)).unwrap_or_default();
        for word in &new {
            self.words.put((partition(word), id), &Vec::new()).await?;
        }
        for word in old.iter().flat_map(|old| &old.value).filter(|word| !new.contains(*word)) {
            self.words.delete((partition(word), id)).await?;
        }
        match old {
            Some(old) if new.is_empty() => self.words.delete_version((NOTES, id), &old.version).await,
            Some(old) => {
                let mode = PutMode::Update(old.version);
                self.words.put_with((NOTES, id), &new.into_iter().collect(), mode).await.map(drop)
            }
            None if new.is_empty() => Ok(()),
            None => self.words.put_with((NOTES, id), &new.into_iter().collect(), PutMode::Create).await.map(drop),
        }
    }

    /// The first 100 notes that contain a word, with their ids, ordered by id.
    pub(crate) async fn find(&self, word: &str) -> Result<Vec<(String, Note)>> {
        let word = word.to_lowercase();
        let page = self.words.query(partition(&word)).limit(100).page().await?;
        let ids: Vec<String> = page.items.into_iter().map(|entry| entry.key.sort).collect();
        let notes = self.notes.get_many(ids.iter().map(String::as_str)).await?;
        let found = ids.into_iter().zip(notes).filter_map(|(id, note)| Some((id, note?)));
        Ok(found.filter(|(_, note)| words(&note.text).contains(&word)).collect())
    }

    /// Removes what the index has of notes that no longer exist: a delete of a note is no event.
    pub(crate) async fn purge(&self) -> Result<()> {
        let mut query = self.words.query(NOTES);
        loop {
            let page = query.page().await?;
            let ids: Vec<String> = page.items.into_iter().map(|entry| entry.key.sort).collect();
            let notes = self.notes.get_many(ids.iter().map(String::as_str)).await?;
            for (id, _) in ids.iter().zip(notes).filter(|(_, note)| note.is_none()) {
                self.refresh(id).await?;
            }
            match page.next {
                Some(next) => query = query.after(next),
                None => return Ok(()),
            }
        }
    }
}

fn partition(word: &str) -> String {
    format!("word/{word}")
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !character.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| !word.is_empty() && word.len() <= LONGEST_WORD).collect()
}
