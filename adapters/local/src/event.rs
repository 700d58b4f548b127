//! The context of the events of an app.

use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::Context;
use isobar_abstraction::driver::Clock;

use crate::profile::PROFILE;

/// The context of a new invocation with this timeout.
pub(crate) fn context(clock: &Arc<dyn Clock>, timeout: Duration) -> Context {
    Context::new(PROFILE.provider, Arc::clone(clock)).with_timeout(timeout)
}
