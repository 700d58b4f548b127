//! The profile of the cloud in memory.

use crate::profile::Profile;

/// The profile of the cloud in memory: the portable limits, but a message with an ordering key can wait as long as any other,
/// and a multipart write can have a condition.
pub static PROFILE: Profile = {
    let mut profile = Profile::portable("memory");
    profile.limits.ordered_retry_after = profile.limits.retry_after;
    profile.conditional_multipart = true;
    profile.loose_delivery = false;
    profile
};
