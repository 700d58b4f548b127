//! The trials, by trait.

pub mod blob;
pub mod function;
pub mod key_value;
pub mod pub_sub;

use crate::Trial;

/// All trials.
pub fn all() -> Vec<Trial> {
    [key_value::all(), blob::all(), pub_sub::all(), function::all()].concat()
}
