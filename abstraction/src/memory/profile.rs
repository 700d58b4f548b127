//! The profile of the cloud in memory.

use crate::Profile;

/// What the cloud in memory promises: exactly what is portable.
pub static PROFILE: Profile = {
    let mut profile = Profile::portable("memory", ["`TestClient`", "ordered map", "map of objects", "queue in memory"]);
    profile.conditional_multipart = true;
    profile
};
