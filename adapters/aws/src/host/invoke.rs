//! Schedules, direct calls, pings, and what nobody handles.

use bytes::Bytes;
use isobar_abstraction::{Error, ErrorKind, Event, Invocation, Result, Tick, host};

use super::{Lambda, LambdaCall, LambdaReply};
use crate::event::{self, Direct, Incoming, Shape};

const PONG: LambdaReply = LambdaReply::Json(Bytes::from_static(br#"{"isobar":"pong"}"#));

impl Lambda {
    pub(super) async fn other(
        &self,
        shape: Shape<'_>,
        incoming: &Incoming<'_>,
        call: &LambdaCall,
    ) -> Result<LambdaReply> {
        let now = self.state.clock.now();
        match shape {
            Shape::Direct(Direct::Invoke { function, payload }) => {
                self.invoke(event::invocation(function, payload)?, call).await
            }
            Shape::Direct(Direct::Schedule { schedule, due }) => {
                self.tick(event::tick(schedule, due.as_deref(), now)?, call).await
            }
            Shape::Direct(Direct::Unknown) => Err(Direct::unknown()),
            Shape::Direct(Direct::Malformed(name)) => Err(Direct::malformed(name)),
            Shape::Direct(Direct::Ping) | Shape::WarmUp => Ok(PONG),
            Shape::Schedule => self.tick(event::schedule(incoming, &self.state.config.prefix, now)?, call).await,
            Shape::BucketTest => Ok(LambdaReply::null()),
            // Never the app's only function: everything that AWS sends to a Lambda by mistake would run it.
            Shape::Unknown => Err(self.unhandled("an event of a kind that isobar does not know", incoming)),
            Shape::Foreign(service) => Err(self.unhandled(&service, incoming)),
            Shape::Http(_) | Shape::Queue | Shape::Topic | Shape::Bucket => {
                Err(Error::internal("an event with a handler of its own; this is a fault of isobar"))
            }
        }
    }

    async fn invoke(&self, invocation: Invocation, call: &LambdaCall) -> Result<LambdaReply> {
        let cx = self.context(call);
        host::invoke(self.app.function.as_ref(), invocation, cx).await.map(LambdaReply::Json)
    }

    /// A tick that fails is a failed invocation, so that Lambda counts it; whether it is tried again is
    /// a setting of the function.
    async fn tick(&self, tick: Tick, call: &LambdaCall) -> Result<LambdaReply> {
        let cx = self.context(call);
        let handled = host::handle(self.app.function.as_ref(), Event::Schedule(tick), cx).await?;
        handled.into_result().map(|()| LambdaReply::null())
    }

    /// Names what the event looked like, never what it says, and what the app handles.
    fn unhandled(&self, what: &str, event: &Incoming<'_>) -> Error {
        let manifest = &self.app.manifest;
        let mut handled: Vec<String> = Vec::new();
        handled.extend(manifest.http.then(|| "HTTP".to_owned()));
        handled.extend(manifest.messages.iter().map(|trigger| format!("topic `{}`", trigger.source)));
        handled.extend(manifest.objects.iter().map(|trigger| format!("bucket `{}`", trigger.source)));
        handled.extend(manifest.schedules.iter().map(|schedule| format!("schedule `{}`", schedule.name)));
        handled.extend(manifest.invokes.iter().map(|function| format!("function `{function}`")));
        let handled = if handled.is_empty() { "nothing".to_owned() } else { handled.join(", ") };
        let (app, names) = (&manifest.app, event.names());
        let call = r#"call a function with {"isobar":"invoke","function":NAME,"payload":…}"#;
        let message = format!("{what}, with {names}: app `{app}` has no handler for it; it handles {handled}; {call}");
        Error::new(ErrorKind::NotFound, message)
    }
}
