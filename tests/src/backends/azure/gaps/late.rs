//! What does not hold where reads are answered by a region that sees each write later.

use super::gap;
use crate::Gap;

const PROCESSES: &str = "Azure itself: a session is of one process, and this trial reads in one what another wrote";
const HALVES: &str = "the emulator copies a transaction to its other regions item by item";

pub(super) const KEY_VALUE: &[Gap] = &[
    gap("two_handles_of_a_table_share_its_items", PROCESSES),
    gap("a_counter_is_an_item_that_every_read_and_write_takes", PROCESSES),
    gap("update_of_a_value_of_another_type_is_invalid_input_and_leaves_it", PROCESSES),
    gap("a_value_of_a_newer_form_of_the_type_is_read_by_the_older", PROCESSES),
    gap("a_transaction_that_is_dropped_happens_whole_or_not_at_all", HALVES),
    gap("transactions_write_and_see_expiry", HALVES),
];
