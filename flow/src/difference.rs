//! [`Difference`]: where a program and the journal of a run differ.

use std::fmt;

use serde::Serialize;

/// A difference between a program and the journal of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The number of the call in its run, beginning with 0.
    pub index: u32,
    /// What the journal contains.
    pub expected: String,
    /// What the program does.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, expected, found } = self;
        write!(f, "the program differs from the journal at call {index}: expected {expected}, found {found}")
    }
}

impl std::error::Error for Difference {}

/// Why a run cannot go on without a person.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    Difference(Difference),
    Other(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Difference(difference) => write!(
                f,
                "{difference}. Deploy the code that the run began with, or register the new code as another version"
            ),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}
