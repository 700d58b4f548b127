//! What the emulators of Azure get wrong, or what a service of Azure itself cannot do, by trial.

use isobar_conformance::{Gap, Trial};

const fn gap(trial: &'static str, reason: &'static str) -> Gap {
    Gap { trial, reason }
}

const UNORDERED: &str = "Azure itself: a Storage Queue keeps no order, and a message with a key is `Unsupported`";
const ONE_QUEUE: &str = "Azure itself: a topic in a Storage Queue has one subscription, and another one is `Config` at start; Service Bus has more";
const NO_FEED: &str =
    "Azure itself: Table Storage has no feed of writes, and a handler of them is `Config` at start; Cosmos DB has one";
const SMALL: &str = "Azure itself: a message of a Storage Queue is 64 KiB of text, less than the portable limit";
const EXPIRY: &str = "Azurite measures the expiry of a signature by the machine's clock, which a trial cannot move";
const PARTS: &str =
    "Azure itself: the commit of a blob discards the parts of all other uploads, which return `Conflict`";
const CAUSES: &str = "Azure itself: the caller is over HTTP, and receives the error without its cause";
const UTF_16: &str = "Azurite lists names, and continues after a page, in the order of UTF-16";
const HALVES: &str = "the emulator copies a transaction to its other regions item by item";

/// Of Azurite, with values in Table Storage and messages in Storage Queues.
pub const AZURITE: &[Gap] = &[
    gap("body_attributes_ordering_key_and_id_arrive_as_they_were_published", UNORDERED),
    gap("a_topic_without_a_handler_accepts_messages", UNORDERED),
    gap("a_redelivery_is_the_same_message", UNORDERED),
    gap("with_an_ordering_key_the_longest_wait_is_that_of_the_provider", UNORDERED),
    gap("a_dead_letter_put_back_is_the_message_that_it_was", UNORDERED),
    gap("messages_of_one_key_are_delivered_in_the_order_of_publishing", UNORDERED),
    gap("messages_of_one_key_are_handled_one_at_a_time", UNORDERED),
    gap("messages_of_one_key_wait_for_one_that_is_tried_again", UNORDERED),
    gap("messages_of_one_key_wait_for_one_that_panicked", UNORDERED),
    gap("after_a_dead_letter_the_next_of_its_key_is_delivered", UNORDERED),
    gap("after_a_rejected_message_the_next_of_its_key_is_delivered", UNORDERED),
    gap("a_key_does_not_hold_back_other_keys_nor_messages_without_one", UNORDERED),
    gap("a_batch_keeps_the_order_of_each_key", UNORDERED),
    gap("keys_that_look_alike_are_different", UNORDERED),
    gap("equal_messages_of_a_batch_are_different_messages", UNORDERED),
    gap("ordering_keys_within_the_rule_are_delivered", UNORDERED),
    gap("a_message_outlives_a_restart_whole", UNORDERED),
    gap("the_order_of_a_key_outlives_a_restart", UNORDERED),
    gap("an_oversize_message_in_a_batch_is_refused_alone", SMALL),
    gap("a_batch_larger_than_any_request_is_delivered_whole", SMALL),
    gap("a_message_of_just_the_limit_is_delivered_and_one_byte_more_is_too_large", SMALL),
    gap("attributes_count_towards_the_limit_of_a_message", SMALL),
    gap("a_body_that_is_no_text_counts_by_its_length_in_base64", SMALL),
    gap("only_what_is_no_text_counts_in_base64", SMALL),
    gap("an_error_of_another_library_is_internal_and_keeps_its_text", CAUSES),
    gap("a_signed_url_is_refused_once_it_has_expired", EXPIRY),
    gap("racing_streams_leave_one_of_them_whole", PARTS),
    gap("pages_of_strange_object_keys_go_on_from_printed_cursors", UTF_16),
    gap("each_subscription_receives_every_message_as_it_was_published", ONE_QUEUE),
    gap("a_message_of_a_tool_reaches_one_subscription", ONE_QUEUE),
    gap("a_failing_subscription_has_its_own_dead_letters_and_its_own_redrive", ONE_QUEUE),
    gap("each_subscription_keeps_the_order_of_a_key_and_waits_alone", ONE_QUEUE),
    gap("each_subscription_has_attempts_and_a_backoff_of_its_own", ONE_QUEUE),
    gap("the_subscriptions_of_modules_receive_like_those_of_the_app", ONE_QUEUE),
    gap("a_topic_can_have_a_named_subscription_only", ONE_QUEUE),
    gap("a_body_is_read_by_each_subscription_alone", ONE_QUEUE),
    gap("a_subscription_with_a_reserved_or_malformed_name_is_refused", ONE_QUEUE),
    gap("topics_and_subscriptions_whose_names_look_alike_do_not_mix", ONE_QUEUE),
    gap("each_subscription_outlives_a_restart_as_it_was", ONE_QUEUE),
    gap("a_delayed_message_reaches_each_subscription_at_its_time", ONE_QUEUE),
    gap("every_way_to_write_an_item_is_reported", NO_FEED),
    gap("strange_keys_are_reported_as_they_were_written", NO_FEED),
    gap("isobars_own_items_are_not_reported", NO_FEED),
    gap("deletes_failed_writes_and_earlier_items_are_not_reported", NO_FEED),
    gap("after_its_last_write_an_item_is_reported_again", NO_FEED),
    gap("the_writes_of_tables_whose_names_look_alike_do_not_mix", NO_FEED),
    gap("writes_before_a_restart_are_reported_after_it", NO_FEED),
    gap("hundreds_of_writes_at_the_same_time_are_all_reported", NO_FEED),
    gap("a_failing_write_has_its_own_attempts_and_blocks_no_other", NO_FEED),
    gap("a_write_that_is_never_handled_becomes_a_dead_letter_that_can_be_put_back", NO_FEED),
    gap("a_later_attempt_reads_the_item_as_it_is_then", NO_FEED),
    gap("a_handler_of_writes_may_write_to_another_table_and_to_its_own", NO_FEED),
    gap("a_write_of_an_item_that_is_being_handled_is_reported_again", NO_FEED),
    gap("a_handler_of_writes_needs_no_access_to_the_table", NO_FEED),
    gap("the_state_the_layers_and_the_context_of_a_write_are_those_of_any_event", NO_FEED),
    gap("a_manifest_contains_subscriptions_filters_and_writes", NO_FEED),
];

/// Of the emulator of Cosmos DB, Azurite's blobs and the double of Service Bus.
pub const COSMOS: &[Gap] = &[
    gap("an_error_of_another_library_is_internal_and_keeps_its_text", CAUSES),
    gap("a_signed_url_is_refused_once_it_has_expired", EXPIRY),
    gap("racing_streams_leave_one_of_them_whole", PARTS),
    gap("pages_of_strange_object_keys_go_on_from_printed_cursors", UTF_16),
];

/// The rows that run on a Cosmos DB whose reads are late: those of single items.
const LATE_ROWS: [&str; 17] = [
    "KV-1", "KV-2", "KV-4", "KV-5", "KV-6", "KV-7", "KV-15", "KV-16", "KV-17", "KV-19", "KV-21", "ON-1", "ON-2",
    "ON-3", "ON-4", "ON-5", "ON-6",
];

/// Whether a trial is of single items, whose reads may be late.
pub fn is_of_single_items(trial: &Trial) -> bool {
    LATE_ROWS.contains(&trial.row)
}

/// Of the emulator of Cosmos DB where a region answers reads that receives each write later.
pub const LATE: &[Gap] = &[
    gap("a_transaction_that_is_dropped_happens_whole_or_not_at_all", HALVES),
    gap("transactions_write_and_see_expiry", HALVES),
];
