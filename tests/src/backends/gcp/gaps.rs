//! What the emulators of Google Cloud get wrong, or what a service of Google Cloud itself cannot do, by trial.

use std::sync::LazyLock;

use crate::{Gap, trials};

const fn gap(trial: &'static str, reason: &'static str) -> Gap {
    Gap { trial, reason }
}

const CAUSES: &str = "Google Cloud itself: the caller is over HTTP, and is told an error and not what caused it";
const REWRITE: &str = "fake-gcs-server ignores `ifGenerationMatch` of rewriteTo, and copies over what is there";
const SIGNATURE: &str = "fake-gcs-server looks at no signature; the double of Cloud Storage does";
const UNTOLD: &str = "the double of Cloud Storage sends no notifications; fake-gcs-server does";

/// Of Google's emulators of Firestore and Pub/Sub, and of fake-gcs-server.
pub const EMULATORS: &[Gap] = &[
    gap("a_copy_that_must_create_refuses_to_overwrite", REWRITE),
    gap("a_copy_of_many_megabytes_that_must_create_refuses_to_overwrite", REWRITE),
    gap("a_rename_that_must_create_refuses_to_overwrite", REWRITE),
    gap("one_of_many_racing_copies_creates", REWRITE),
    gap("a_signed_url_is_refused_once_it_has_expired", SIGNATURE),
    gap("a_signed_url_is_refused_with_another_signature_or_none", SIGNATURE),
    gap("the_signature_of_one_object_is_refused_for_another", SIGNATURE),
    gap("a_url_for_get_cannot_write_and_one_for_put_cannot_read", SIGNATURE),
    gap("an_error_of_another_library_is_internal_and_keeps_its_text", CAUSES),
];

/// Of the double of Cloud Storage, which is asked for blobs alone.
pub static DOUBLE: LazyLock<Vec<Gap>> = LazyLock::new(|| {
    let all = trials::all().into_iter();
    all.filter_map(|trial| match trial.row {
        "BL-14" => Some(gap(trial.name, UNTOLD)),
        _ if trial.name == "object_events_that_were_not_delivered_outlive_the_process" => Some(gap(trial.name, UNTOLD)),
        row if row.starts_with("BL-") => None,
        _ => Some(gap(trial.name, "not asked: the double is of blobs alone")),
    })
    .collect()
});
