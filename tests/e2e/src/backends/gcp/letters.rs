//! Dead letters, as they lie in their topics.

use isobar::Result;
use isobar::driver::{Derived, ResourceKind};
use isobar::pub_sub::DeadLetter;

use super::notices::kept;
use super::project::Project;

impl Project {
    /// The topic of the dead letters of a topic or of a bucket's events, and that which they came from.
    fn dead_of(&self, kind: ResourceKind, name: &str) -> (String, String) {
        let topic = match kind {
            ResourceKind::Bucket => self.physical(&Derived::Events.of(name)),
            _ => self.physical(name),
        };
        (Derived::DeadLetters.of(&topic), topic)
    }

    /// Takes what lies among the dead letters.
    async fn collect(&self, dead: &str) -> Result<()> {
        let received = self.pub_sub.pull(dead).await?;
        let ids: Vec<&str> = received.iter().filter_map(|received| received["ackId"].as_str()).collect();
        self.pub_sub.acknowledge(dead, &ids).await?;
        let letters = received.iter().map(|received| (dead.to_owned(), received["message"].clone()));
        self.dead.lock().extend(letters);
        Ok(())
    }

    pub(super) async fn dead_letters(&self, kind: ResourceKind, name: &str) -> Result<Vec<DeadLetter>> {
        let (dead, _) = self.dead_of(kind, name);
        self.collect(&dead).await?;
        let letters = self.dead.lock();
        letters.iter().filter(|(of, _)| *of == dead).map(|(_, letter)| isobar_gcp::dead_letter(letter)).collect()
    }

    /// Puts them back. Returns how many.
    pub(super) async fn redrive(&self, kind: ResourceKind, name: &str) -> Result<usize> {
        let (dead, topic) = self.dead_of(kind, name);
        self.collect(&dead).await?;
        let letters: Vec<_> = self.dead.lock().extract_if(.., |(of, _)| *of == dead).collect();
        let letters: Vec<_> = letters.iter().map(|(_, letter)| kept(letter)).collect();
        self.pub_sub.publish(&topic, &letters).await?;
        Ok(letters.len())
    }
}
