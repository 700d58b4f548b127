//! The profile of the cloud in memory.

use crate::profile::Profile;

/// What the cloud in memory promises: what is portable, and a longer wait of messages with a key.
pub static PROFILE: Profile = {
    let mut profile = Profile::portable("memory");
    profile.limits.ordered_retry_after = profile.limits.retry_after;
    profile.conditional_multipart = true;
    profile
};
