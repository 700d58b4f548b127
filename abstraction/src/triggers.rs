//! Buckets and tables as the sources of triggers.

pub(crate) mod objects;
pub(crate) mod writes;

pub use objects::ObjectEvents;
pub use writes::TableWrites;
