//! Traits and types for implementers of a provider, a host or a tool. An app does not need them.
//!
//! They have a module apart from the types for apps, because they change for other reasons: a new kind of write breaks no
//! app. Structs and enums that portable types and drivers exchange are `#[non_exhaustive]`. A driver must build structs
//! with their constructors, and must return [`Error::unknown_variant`](crate::Error::unknown_variant) for a variant that
//! it does not know: an ignored option would be a silent error.
//!
//! | to implement | traits and types |
//! |---|---|
//! | a provider | [`Adapter`], [`Provider`], [`Environment`], [`Location`], [`Profile`] |
//! | its services | [`key_value`], [`blob`], [`pub_sub`], [`secret`] |
//! | a host | [`host`] calls a [`Function`]; [`Hosted`], [`RetryPolicy`], [`CronSchedule`] |

pub mod host;

pub use crate::access::Access;
pub use crate::ambient::{current_deadline, in_current_invocation};
pub use crate::clock::Clock;
pub use crate::cloud::Route;
pub use crate::event_queue::EventQueue;
pub use crate::function::Function;
pub use crate::handle::Resource;
pub use crate::outcome::{RetryPolicy, Settlement};
pub use crate::permission::{Permission, PermissionRow};
pub use crate::place::Place;
pub use crate::prefix::{ISOBAR_PREFIX, ISOBAR_STAGE, Prefix};
pub use crate::profile::{LIMITS, LimitRow, Limits, Profile, duration, number};
pub use crate::provider::{
    Adapter, AnyDriver, Environment, Hosted, ISOBAR_SECRETS, Instance, OpenRequest, Opener, Provider,
};
pub use crate::resource::{Derived, Location, POISON, ResourceKind, ResourceUrl, check_name, check_prefix};
pub use crate::schedule::CronSchedule;

/// The trait of a key-value service, and the types of its arguments and results.
pub mod key_value {
    pub use crate::key_value::check::checked_writes;
    pub use crate::key_value::driver::{
        Item, Items, KeyValue, Put, QueryRange, SCAN_BYTES, ScanSegment, Write, add_to_counter, is_repeatable,
        parse_counter, put_of_sum, sum_of, with_sums,
    };
    pub use crate::key_value::own::OwnItems;
    pub use crate::key_value::transaction::put_size;
    pub use crate::key_value::{Key, PutMode, Version};
}

/// The trait of an object service, and the types of its arguments and results.
pub mod blob {
    pub use crate::blob::driver::{
        Blob, ListRequest, Listing, STANDARD_HEADERS, SignRequest, SignedAccess, WriteCondition,
    };
    pub use crate::blob::{PutMode, SignedUrl, Version, key};

    /// An object store over a flat namespace of whole objects.
    pub mod flat {
        pub use crate::blob::flat::{FlatObjects, FlatStore, check_mode, page_of, page_start};
    }

    /// Methods of an object store that read all pages of a list.
    pub mod pages {
        pub use crate::blob::pages::{Pages, below, groups, objects, pages, rename, within};
    }
}

/// The trait of a store of secrets and configuration.
pub mod secret {
    pub use crate::secret::driver::{NoSecretStore, SecretStore};
}

/// The trait of a pub/sub service, and the types of its arguments and results.
pub mod pub_sub {
    pub use crate::pub_sub::backlog::{
        Backlog, BacklogCount, BacklogMessage, BacklogPart, LeasedMessage, PORTABLE_FORM, dead_letters, discard,
        each_failed, redrive,
    };
    pub use crate::pub_sub::dead_letter::DeadLetterDetails;
    pub use crate::pub_sub::driver::{PubSub, RawMessage};
    pub use crate::pub_sub::message::plain_text;
    pub use crate::pub_sub::topic::DEFAULT_SUBSCRIPTION;
    pub use crate::pub_sub::{DeadLetter, Message, MessageId};
}
