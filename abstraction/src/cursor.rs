//! The position in a list as text: the form of the cursors of all lists.
//!
//! A cursor of one position is stateless: it needs no session at the service, does not expire, and works while others
//! write.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A position in a list. Its text begins with `MARK`, which differs by kind of list, and is safe in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Position<const MARK: char>(pub(crate) String);

impl<const MARK: char> fmt::Display for Position<MARK> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `%`, which a parser of URLs decodes.
        write!(f, "{MARK}{}", utf8_percent_encode(&self.0, NON_ALPHANUMERIC).to_string().replace('%', "~"))
    }
}

impl<const MARK: char> From<Position<MARK>> for String {
    fn from(position: Position<MARK>) -> Self {
        position.to_string()
    }
}

impl<const MARK: char> TryFrom<String> for Position<MARK> {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl<const MARK: char> FromStr for Position<MARK> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid_input("not a cursor of this kind of list; pass the `next` of a page");
        let position = text.strip_prefix(MARK).ok_or_else(wrong)?.replace('~', "%");
        let position = Self(percent_decode_str(&position).decode_utf8().map_err(|_| wrong())?.into_owned());
        if position.to_string() == text { Ok(position) } else { Err(wrong()) }
    }
}
