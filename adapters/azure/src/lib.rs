//! The Azure provider of isobar: its limits, and its place in the facade's table.
//!
//! Its services are not built yet: opening anything or hosting an app is `Unsupported`.

pub mod profile;

use isobar_abstraction::{Adapter, Error};

/// The row of this provider in the facade's table.
pub const ADAPTER: Adapter = Adapter {
    name: "azure",
    schemes: &["cosmos", "aztable", "az", "servicebus", "azqueue"],
    open: |_| Err(Error::unsupported("open", "azure", "its services are not built yet; run with the feature `local`")),
    single_threaded: false,
};
