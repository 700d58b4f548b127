//! What a turn stores next.

use crate::row::{Event, Failure, Record, Stored};

/// What the next commit must write.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) index: u32,
    pub(crate) began: u64,
    pub(crate) attempts: u32,
    pub(crate) work: Work,
}

#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// An entry whose result is delivered after the commit.
    Record(Record),
    /// An entry that no call waits for: it is written with the next commit.
    Note(Record),
    /// An entry after whose commit the call runs.
    Begin(Record),
    /// An event that a call receives: the sort key of its row.
    Receive(String, Event),
    /// A failed attempt of a step.
    Failed { failure: Failure, next: u64 },
}

impl Draft {
    /// Work of one attempt.
    pub(crate) fn new(index: u32, began: u64, work: Work) -> Self {
        Self { index, began, attempts: 1, work }
    }

    /// The size of its value in JSON.
    pub(crate) fn bytes(&self) -> usize {
        let size = |stored: &Stored| if let Stored::Json(json) = stored { json.get().len() } else { 0 };
        match &self.work {
            Work::Record(Record::Value(stored)) | Work::Note(Record::Value(stored)) => size(stored),
            Work::Receive(_, event) => event.body.as_ref().map_or(0, size),
            _ => 0,
        }
    }
}
