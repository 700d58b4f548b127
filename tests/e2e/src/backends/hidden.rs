//! Hidden messages by the trial's clock. An emulator measures visibility by the machine's clock, so it hides a message
//! for as long as it can, and shows it when the manual clock has passed the time that was requested.

use std::time::{Duration, SystemTime};

use isobar::clock::ManualClock;
use isobar::driver::Clock;
use parking_lot::Mutex;

/// A message that is hidden.
#[derive(Debug, Clone)]
pub(super) struct Hidden {
    pub(super) queue: String,
    pub(super) id: String,
    pub(super) receipt: String,
    until: SystemTime,
}

/// The messages that are hidden in the queues of a trial.
#[derive(Debug)]
pub(super) struct HiddenMessages {
    clock: ManualClock,
    messages: Mutex<Vec<Hidden>>,
}

impl HiddenMessages {
    pub(super) fn new(clock: &ManualClock) -> Self {
        Self { clock: clock.clone(), messages: Mutex::default() }
    }

    /// Records that a message is hidden for this long from now.
    pub(super) fn hide(&self, queue: &str, id: &str, receipt: &str, duration: Duration) {
        let (queue, id, receipt) = (queue.to_owned(), id.to_owned(), receipt.to_owned());
        let until = self.clock.now() + duration;
        let mut messages = self.messages.lock();
        messages.retain(|message| message.id != id);
        messages.push(Hidden { queue, id, receipt, until });
    }

    /// Forgets a message that was deleted.
    pub(super) fn forget(&self, id: &str) {
        self.messages.lock().retain(|message| message.id != id);
    }

    /// Ends the time for which a message is hidden.
    pub(super) fn release(&self, id: &str) {
        let now = self.clock.now();
        self.messages.lock().iter_mut().filter(|message| message.id == id).for_each(|message| message.until = now);
    }

    /// Removes and returns the messages of a queue that must be visible again.
    pub(super) fn take_due(&self, queue: &str) -> Vec<Hidden> {
        let now = self.clock.now();
        let due = |message: &mut Hidden| message.queue == queue && message.until <= now;
        self.messages.lock().extract_if(.., due).collect()
    }
}
