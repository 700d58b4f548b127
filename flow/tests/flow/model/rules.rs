//! The rules of the protocol.

/// A rule of the protocol that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    Nothing,
    /// The sweep deletes a row after it has published its hint.
    KeptRows,
    /// The row of a lease is written before the lease is taken.
    RowBeforeLease,
    /// The timer of a sleep is written before the row of the lease is deleted.
    TimerBeforeSleep,
    /// The row of a lease is deleted only after the turn has ended.
    RowUntilEnd,
    /// A timer row has the number of its turn.
    TurnOfTimer,
    /// An event is stored with a change of the head.
    EventWithHead,
    /// An event that wakes a run takes the lease in the same transaction.
    EventWithLease,
    /// An event is acknowledged after it is stored only.
    EventBeforeAcknowledge,
    /// A start is acknowledged after a head exists only.
    StartBeforeAcknowledge,
    /// A commit has the version of the head as its condition.
    Condition,
}
