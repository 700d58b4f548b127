//! Schedules, direct calls, and what nobody handles.

use bytes::Bytes;
use isobar_abstraction::{Error, ErrorKind, Event, Invocation, Result, Tick, host};

use super::{Lambda, LambdaCall};
use crate::event::Incoming;

impl Lambda {
    pub(super) async fn invoke(&self, invocation: Invocation, call: &LambdaCall) -> Result<Bytes> {
        host::invoke(self.app.function.as_ref(), invocation, self.context(call)).await
    }

    /// A tick that fails is a failed invocation, so that Lambda counts it; whether it is tried again is
    /// a setting of the function.
    pub(super) async fn tick(&self, tick: Tick, call: &LambdaCall) -> Result<()> {
        host::handle(self.app.function.as_ref(), Event::Schedule(tick), self.context(call)).await?.into_result()
    }

    /// Names what the event looked like, never what it says, and what the app handles.
    pub(super) fn unhandled(&self, what: &str, event: &Incoming<'_>) -> Error {
        let (app, handled, names) = (&self.app.manifest.app, self.app.manifest.handled(), event.names());
        let call = r#"call a function with {"isobar":"invoke","function":NAME,"payload":…}"#;
        let message = format!("{what}, with {names}: app `{app}` has no handler for it; it handles {handled}; {call}");
        Error::new(ErrorKind::NotFound, message)
    }
}
