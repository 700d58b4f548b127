//! Children: runs that a workflow starts and waits for.

use std::time::Duration;

use futures_util::future::BoxFuture;
use isobar_abstraction::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::draft::{Draft, Work};
use crate::flow::{Active, Call, Flow};
use crate::message::Message;
use crate::replay::{CallState, Polled};
use crate::row::{CallKind, ChildEnd, Parent, Record, RunId, hex};
use crate::store::encode;

impl Flow {
    /// Starts a run of another workflow, and waits for its output.
    ///
    /// The id of the child is derived from this run and the call, so that a crash starts no second one. Errors: that of the
    /// child, if it fails; `Conflict` if it is cancelled. If this run is cancelled, so is the child. A child that is stalled
    /// lets this run wait.
    pub fn call<O: DeserializeOwned + Send + 'static>(
        &self,
        workflow: &str,
        input: &(impl Serialize + ?Sized),
    ) -> BoxFuture<'static, Result<O>> {
        let call = self.call_of(CallKind::Call, workflow);
        let (flow, input) = (self.clone(), encode(&input));
        let workflow = workflow.to_owned();
        Box::pin(async move { flow.child(call, &workflow, input?).await })
    }

    async fn child<O: DeserializeOwned>(&self, call: Call, workflow: &str, input: Box<RawValue>) -> Result<O> {
        let event = child_event(call.index);
        if let Polled::Live = self.polled_start(&call).await {
            let child = self.child_id(workflow, call.index)?;
            let active = Active::new(&call.calls);
            if let Err(error) = self.start_child(child, &event, input).await {
                return call.fail(error).await;
            }
            drop(active);
            let began = self.inner.store.now();
            call.calls.draft(Draft::new(call.index, began, Work::Begin(Record::Begun)));
            call.polled().await;
        }
        call.calls.wait_for_event(call.index, event);
        let record = call.recorded().await;
        let Record::Value(stored) = record else {
            return call.fail(Error::internal("bug in isobar: a call has the record of another one")).await;
        };
        match self.value(&call, &stored, "the end of a child").await? {
            ChildEnd::Output(stored) => {
                self.value(&call, &stored, &format!("the output of a run of `{workflow}`")).await
            }
            ChildEnd::Error(failure) => Err(failure.error()),
        }
    }

    /// Is the child started? An earlier turn may have done that.
    async fn polled_start(&self, call: &Call) -> Polled {
        if call.calls.with(|state| state.has_begun(call.index)) {
            return Polled::Recorded(Record::Begun);
        }
        call.polled().await
    }

    /// The id of a child. Another attempt to start it has the same one.
    pub(crate) fn child_id(&self, workflow: &str, index: u32) -> Result<RunId> {
        RunId::new(workflow, self.key(&format!("child/{index}")))
    }

    async fn start_child(&self, child: RunId, event: &str, input: Box<RawValue>) -> Result<()> {
        let digest = hex(input.get());
        let store = &self.inner.store;
        let input = store.save(&child, input).await?;
        let parent = Some(Parent { run: self.inner.run.clone(), event: event.to_owned() });
        store.publish(Message::Start { run: child, input, digest, parent }, Duration::ZERO).await
    }
}

/// The event of the end of a child. The events of an app have names without a dot at their beginning.
pub(crate) fn child_event(index: u32) -> String {
    format!(".child-{index}")
}

impl crate::replay::Calls {
    fn wait_for_event(&self, index: u32, name: String) {
        // A record that is delivered already is the result.
        self.with(|state| {
            if !state.is_recorded(index) {
                state.set_state(index, CallState::Event { name, deadline: None });
            }
        });
    }
}

/// The workflow of the child of a call, from the path of the call.
pub(crate) fn workflow_of(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.split('#').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workflow_of_a_child_is_in_the_path_of_its_call() {
        assert_eq!(workflow_of("pack#1/3/invoice#2"), Some("invoice"));
        assert_eq!(workflow_of("invoice#1"), Some("invoice"));
    }
}
