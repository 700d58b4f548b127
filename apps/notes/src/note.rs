//! The note, which the app and its index read.

use serde::{Deserialize, Serialize};

/// A note.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Its author, not empty.
    pub user: String,
    /// Its text, at most 1,000 bytes.
    pub text: String,
}
