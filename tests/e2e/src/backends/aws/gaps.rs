//! What the emulators of AWS get wrong, or what a service of AWS itself cannot do, by trial.

use isobar_conformance::Gap;

const fn gap(trial: &'static str, reason: &'static str) -> Gap {
    Gap { trial, reason }
}

const ETAG: &str = "AWS itself: the version of an S3 object is its ETag, which is the same for equal content";
const NO_JSON: &str = "AWS itself: Lambda rejects a payload that is not JSON before it calls the function";
const UNSIGNED: &str = "the emulator checks no signature and no expiry in a URL";
const OPTIONAL: &str = "the emulator rejects a wrong signature, and accepts a request without one unless it also checks every policy of the account";
const OTHER_CLOCK: &str = "the emulator checks the expiry by the machine's clock, which a trial cannot move";
const NO_CONDITIONAL_COPY: &str = "the emulator ignores If-None-Match of a copy";
const NO_CONDITIONAL_UPDATE: &str = "moto ignores If-Match at the end of a multipart upload; ministack checks it";

/// The gaps of moto.
pub const MOTO: &[Gap] = &[
    gap("every_write_of_a_key_has_a_version_of_its_own", ETAG),
    gap("a_write_of_other_metadata_alone_has_a_version_of_its_own", ETAG),
    gap("a_version_does_not_return_after_delete_and_create_of_the_same_content", ETAG),
    gap("versions_of_objects_are_good_and_never_repeated_after_the_process", ETAG),
    gap("an_error_names_the_function_that_was_called", NO_JSON),
    gap("a_malformed_request_is_invalid_input_with_its_position", NO_JSON),
    gap("a_url_for_get_cannot_write_and_one_for_put_cannot_read", UNSIGNED),
    gap("a_signed_url_is_refused_once_it_has_expired", UNSIGNED),
    gap("a_signed_url_is_refused_with_another_signature_or_none", UNSIGNED),
    gap("the_signature_of_one_object_is_refused_for_another", UNSIGNED),
    gap("a_copy_that_must_create_refuses_to_overwrite", NO_CONDITIONAL_COPY),
    gap("one_of_many_racing_copies_creates", NO_CONDITIONAL_COPY),
    gap("a_rename_that_must_create_refuses_to_overwrite", NO_CONDITIONAL_COPY),
    gap("a_streamed_update_holds_or_is_unsupported_and_never_overwrites", NO_CONDITIONAL_UPDATE),
    gap("a_batch_of_a_thousand_is_delivered_whole", "moto takes longer for it than a trial may last"),
];

/// The gaps of ministack.
pub const MINISTACK: &[Gap] = &[
    gap("every_write_of_a_key_has_a_version_of_its_own", ETAG),
    gap("a_write_of_other_metadata_alone_has_a_version_of_its_own", ETAG),
    gap("a_version_does_not_return_after_delete_and_create_of_the_same_content", ETAG),
    gap("versions_of_objects_are_good_and_never_repeated_after_the_process", ETAG),
    gap("an_error_names_the_function_that_was_called", NO_JSON),
    gap("a_malformed_request_is_invalid_input_with_its_position", NO_JSON),
    gap("a_signed_url_is_refused_once_it_has_expired", OTHER_CLOCK),
    gap("a_signed_url_is_refused_with_another_signature_or_none", OPTIONAL),
    gap("a_copy_that_must_create_refuses_to_overwrite", NO_CONDITIONAL_COPY),
    gap("one_of_many_racing_copies_creates", NO_CONDITIONAL_COPY),
    gap("a_rename_that_must_create_refuses_to_overwrite", NO_CONDITIONAL_COPY),
];
