//! Dead letters: they are read out of their queues, kept, and sent again.

use async_trait::async_trait;
use isobar::pub_sub::DeadLetter;
use isobar::{EventQueue, Result};
use parking_lot::Mutex;

/// Messages that were read, each with the queue that it was in: a trial that reads them must not lose them.
pub(super) type Stored<M> = Mutex<Vec<(String, M)>>;

/// The queues of dead letters of one trial.
#[async_trait]
pub(super) trait DeadLetterQueues: Sync {
    /// A message as the service returns it.
    type Message: Clone + Send + Sync;

    fn stored(&self) -> &Stored<Self::Message>;

    /// The queues of the dead letters of a trigger's queue, each with the queue or topic to which its messages are sent
    /// again.
    fn dead_letter_queues(&self, queue: &EventQueue) -> Vec<(String, String)>;

    /// Receives all messages of a queue, and deletes them there.
    async fn drain(&self, queue: &str) -> Result<Vec<Self::Message>>;

    fn dead_letter(message: &Self::Message) -> Result<DeadLetter>;

    /// Sends a message to a queue or topic unchanged, as the service's own redrive does.
    async fn send_again(&self, to: &str, message: &Self::Message) -> Result<()>;

    async fn drain_into_stored(&self, queue: &str) -> Result<()> {
        let messages = self.drain(queue).await?;
        self.stored().lock().extend(messages.into_iter().map(|message| (queue.to_owned(), message)));
        Ok(())
    }

    async fn dead_letters(&self, queue: &EventQueue) -> Result<Vec<DeadLetter>> {
        let mut dead_letters = Vec::new();
        for (of, _) in self.dead_letter_queues(queue) {
            self.drain_into_stored(&of).await?;
            for (_, message) in self.stored().lock().iter().filter(|(place, _)| *place == of) {
                dead_letters.push(Self::dead_letter(message)?);
            }
        }
        Ok(dead_letters)
    }

    /// Sends them again. Returns how many.
    async fn redrive(&self, queue: &EventQueue) -> Result<usize> {
        let mut count = 0;
        for (of, to) in self.dead_letter_queues(queue) {
            self.drain_into_stored(&of).await?;
            let messages: Vec<_> = self.stored().lock().extract_if(.., |(place, _)| *place == of).collect();
            for (_, message) in &messages {
                self.send_again(&to, message).await?;
            }
            count += messages.len();
        }
        Ok(count)
    }
}
