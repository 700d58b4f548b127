//! Azure's services, where they can be had offline, and doubles of those that cannot.

pub mod service_bus;
