//! Calls of tables, buckets and topics that fail.

use std::sync::Arc;

use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::{Error, ErrorKind, Result};

use super::{Chaos, Kind};

tokio::task_local! {
    static CALM: ();
}

/// Runs the last attempt of a delivery without failing calls: so they alone make no dead letter.
pub(crate) async fn calm<T>(delivery: impl Future<Output = T>) -> T {
    CALM.scope((), delivery).await
}

/// The calls of one resource.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    chaos: Arc<Chaos>,
    resource: String,
    /// For the number, which messages of the same topic have too.
    name: String,
}

impl Calls {
    pub(crate) fn new(chaos: &Arc<Chaos>, kind: ResourceKind, name: &str) -> Self {
        let resource = format!("{kind} `{name}`");
        Self { chaos: Arc::clone(chaos), name: format!("calls of {resource}"), resource }
    }

    /// A read, which fails before it or not at all.
    pub(super) async fn read<T>(&self, operation: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fault() {
            Some(fault) => Err(self.fails(&fault, operation)),
            None => call.await,
        }
    }

    /// A write, which may also fail after it was applied: the caller cannot know which.
    pub(super) async fn write<T>(&self, operation: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fault() {
            Some(fault) if fault.draw % 2 == 0 => {
                call.await?;
                Err(self.fails(&fault, &format!("{operation}, after it was applied")).with_outcome_unknown())
            }
            Some(fault) => Err(self.fails(&fault, operation)),
            None => call.await,
        }
    }

    fn fault(&self) -> Option<Fault> {
        let number = self.chaos.next(&self.name);
        let is_calm = CALM.try_with(|()| ()).is_ok();
        let draw = self.chaos.draw(Kind::Call, &self.name, number, 0, self.chaos.rates.calls);
        draw.filter(|_| !is_calm).map(|draw| Fault { number, draw })
    }

    fn fails(&self, fault: &Fault, how: &str) -> Error {
        self.chaos.report(Kind::Call, format_args!("call {} of {} fails: {how}", fault.number, self.resource));
        Error::new(ErrorKind::Unavailable, "the service does not answer; chaos, not a fault of the app")
    }
}

struct Fault {
    number: u64,
    draw: u64,
}
