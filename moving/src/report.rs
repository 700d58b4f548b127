//! What a move reports: its progress, what it finds, and its sums.

use std::fmt;

use isobar_abstraction::driver::ResourceKind;
use serde::Serialize;

/// What a move does with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// It looks for what cannot be carried, and counts.
    Planning,
    /// It writes what the target lacks.
    Copying,
    /// It deletes what the source does not have any more.
    Deleting,
    /// It compares both sides.
    Verifying,
}

/// The place of one item or object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `table` or `bucket`.
    #[serde(serialize_with = "kind_name")]
    pub kind: ResourceKind,
    /// The logical name of the table or the bucket.
    pub name: String,
    /// The key of the object, or the partition of the item.
    pub key: String,
    /// The sort key of the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
}

pub(crate) fn kind_name<S: serde::Serializer>(kind: &ResourceKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.kind, self.name, self.key.escape_debug())?;
        match self.sort.as_deref() {
            None | Some("") => Ok(()),
            Some(sort) => write!(f, " / {}", sort.escape_debug()),
        }
    }
}

/// How the two sides differ in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Difference {
    /// Only the source has it.
    Missing,
    /// Only the target has it.
    Extra,
    /// The bytes differ.
    Value,
    /// The expiry of the item differs.
    Expiry,
    /// A header or metadata of the object differs.
    Metadata,
    /// The content type of the object differs.
    Type,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing at the target",
            Self::Extra => "only at the target",
            Self::Value => "another value",
            Self::Expiry => "another expiry",
            Self::Metadata => "other metadata",
            Self::Type => "another content type",
        })
    }
}

/// Watches a move. The methods are called from several tasks, and must be quick.
pub trait Watch: Send + Sync {
    /// A phase of a resource begins.
    fn phase(&self, kind: ResourceKind, name: &str, phase: Phase) {
        let _ = (kind, name, phase);
    }

    /// So many items or objects, with so many bytes, are done in this phase.
    fn done(&self, count: u64, bytes: u64) {
        let _ = (count, bytes);
    }

    /// The sides differ.
    fn difference(&self, at: &Place, difference: Difference) {
        let _ = (at, difference);
    }

    /// Something cannot be carried to the target.
    fn unfit(&self, at: &Place, why: &str) {
        let _ = (at, why);
    }
}

/// Watches nothing.
impl Watch for () {}

/// What was done with a table or a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sums {
    /// Items or objects that were written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that an earlier run has written, or that were there.
    pub unchanged: u64,
    /// Those that were deleted at the target.
    pub deleted: u64,
    /// Those that cannot be carried.
    pub unfit: u64,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// The same on both sides.
    pub equal: u64,
    /// At the source only.
    pub missing: u64,
    /// At the target only.
    pub extra: u64,
    /// On both sides, and different.
    pub different: u64,
    /// Differences that were there, and are not any more.
    pub repaired: u64,
}

impl Counts {
    /// Are both sides equal?
    pub fn is_equal(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.different == 0
    }

    pub(crate) fn count(&mut self, difference: Difference) {
        match difference {
            Difference::Missing => self.missing += 1,
            Difference::Extra => self.extra += 1,
            _ => self.different += 1,
        }
    }
}

/// The report of one table or bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// `table` or `bucket`.
    #[serde(serialize_with = "kind_name")]
    pub kind: ResourceKind,
    /// Its logical name.
    pub name: String,
    /// What was moved; `None` where it was only compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<Sums>,
    /// What the comparison found.
    pub compared: Counts,
}

impl Report {
    /// Are both sides equal, and was everything carried?
    pub fn is_equal(&self) -> bool {
        self.compared.is_equal() && self.moved.is_none_or(|moved| moved.unfit == 0)
    }
}
