//! The conditions of writes as DynamoDB's expressions.

use std::time::SystemTime;

use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::key_value::{Key, PutMode, Version, Write};
use isobar_abstraction::{Error, Result};
use isobar_rest::ServiceError;
use isobar_rest::attempt::{already_exists, version_conflict};
use serde::{Deserialize, Serialize};

use super::stored::{Attribute, ReadItem, UNVERSIONED};

/// The condition of a write on the stored item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    /// No condition.
    Any,
    /// No unexpired item exists.
    Absent,
    /// An unexpired item with this version exists.
    Version(&'a Version),
}

impl<'a> TryFrom<&'a PutMode> for Condition<'a> {
    type Error = Error;

    fn try_from(mode: &'a PutMode) -> Result<Self> {
        match mode {
            PutMode::Overwrite => Ok(Self::Any),
            PutMode::Create => Ok(Self::Absent),
            PutMode::Update(version) => Ok(Self::Version(version)),
            _ => Err(Error::unknown_variant("PutMode")),
        }
    }
}

impl<'a> From<Option<&'a Version>> for Condition<'a> {
    fn from(version: Option<&'a Version>) -> Self {
        version.map_or(Self::Any, Self::Version)
    }
}

impl<'a> TryFrom<&'a Write> for Condition<'a> {
    type Error = Error;

    fn try_from(write: &'a Write) -> Result<Self> {
        match write {
            Write::Put(put) => Self::try_from(&put.mode),
            Write::Delete { version, .. } => Ok(Self::from(version.as_ref())),
            Write::Add { .. } => Ok(Self::Any),
            _ => Err(Error::unknown_variant("Write")),
        }
    }
}

/// An expired item, which DynamoDB deletes only days later. A comparison with an absent attribute is
/// false.
macro_rules! expired {
    () => {
        "(expires <= :now OR #ttl <= :second)"
    };
}

/// A counter from isobar that stays within its limits.
macro_rules! counter {
    () => {
        concat!(
            "attribute_exists(version) AND attribute_type(#value, :number) AND #value BETWEEN :low AND :high AND NOT ",
            expired!()
        )
    };
}

const ABSENT: &str = concat!("attribute_not_exists(pk) OR ", expired!());
const OF_VERSION: &str = concat!("version = :version AND NOT ", expired!());
const UNVERSIONED_ITEM: &str = concat!("attribute_exists(pk) AND attribute_not_exists(version) AND NOT ", expired!());
const COUNTER: &str = counter!();
const COUNTER_OR_ABSENT: &str = concat!("attribute_not_exists(pk) OR (", counter!(), ")");

/// The update under [`Guard::of_counter`].
pub(super) const ADD_TO_COUNTER: &str = "SET version = :version ADD #value :delta";

/// The fields of a request with its condition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Guard<'a> {
    condition_expression: &'static str,
    expression_attribute_names: Names,
    expression_attribute_values: Values<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_values_on_condition_check_failure: Option<&'static str>,
}

/// Placeholders of attributes whose names are reserved words. An expression must use each placeholder.
#[derive(Debug, Serialize)]
struct Names {
    #[serde(rename = "#ttl")]
    ttl: &'static str,
    #[serde(rename = "#value", skip_serializing_if = "Option::is_none")]
    value: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Values<'a> {
    #[serde(rename = ":now")]
    now: Attribute<'a>,
    #[serde(rename = ":second")]
    second: Attribute<'a>,
    #[serde(rename = ":version", skip_serializing_if = "Option::is_none")]
    version: Option<Attribute<'a>>,
    #[serde(flatten)]
    sum: Option<Sum<'a>>,
}

#[derive(Debug, Serialize)]
struct Sum<'a> {
    #[serde(rename = ":number")]
    number: Attribute<'a>,
    #[serde(rename = ":low")]
    low: Attribute<'a>,
    #[serde(rename = ":high")]
    high: Attribute<'a>,
    #[serde(rename = ":delta")]
    delta: Attribute<'a>,
}

impl<'a> Guard<'a> {
    fn new(condition_expression: &'static str, now: SystemTime) -> Self {
        let now = to_millis(now);
        Self {
            condition_expression,
            expression_attribute_names: Names { ttl: "ttl", value: None },
            expression_attribute_values: Values {
                now: Attribute::number(now),
                second: Attribute::number(now / 1_000),
                version: None,
                sum: None,
            },
            return_values_on_condition_check_failure: None,
        }
    }

    fn with_version(mut self, version: &'a Version) -> Self {
        self.expression_attribute_values.version = Some(Attribute::text(version.as_str()));
        self
    }

    /// Requests the stored item in the response to a failed condition.
    pub(super) fn returning_old(mut self) -> Self {
        self.return_values_on_condition_check_failure = Some("ALL_OLD");
        self
    }

    /// Allows [`ADD_TO_COUNTER`] if the sum stays within ±`limit`.
    pub(super) fn of_counter(delta: i64, limit: i64, version: &'a Version, now: SystemTime) -> Self {
        let can_create = delta.unsigned_abs() <= limit.unsigned_abs();
        let mut guard = Self::new(if can_create { COUNTER_OR_ABSENT } else { COUNTER }, now).with_version(version);
        // The bounds of the stored value, which can exceed an `i64`.
        let bound = |end: i64| Attribute::number(i128::from(end) - i128::from(delta));
        guard.expression_attribute_names.value = Some("value");
        guard.expression_attribute_values.sum = Some(Sum {
            number: Attribute::text("N"),
            low: bound(-limit),
            high: bound(limit),
            delta: Attribute::number(delta),
        });
        guard
    }
}

impl<'a> Condition<'a> {
    /// The fields of a request for this condition at this time.
    pub(super) fn guard(self, now: SystemTime) -> Option<Guard<'a>> {
        match self {
            Self::Any => None,
            Self::Absent => Some(Guard::new(ABSENT, now)),
            Self::Version(version) if version.as_str() == UNVERSIONED => Some(Guard::new(UNVERSIONED_ITEM, now)),
            Self::Version(version) => Some(Guard::new(OF_VERSION, now).with_version(version)),
        }
    }

    /// The error of a write to `key` whose condition is not met.
    pub(super) fn error(self, key: &Key) -> Error {
        match self {
            Self::Any | Self::Absent => already_exists(key),
            Self::Version(_) => version_conflict(key),
        }
    }
}

/// The stored item, if any, in the service error of a failed condition.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ConditionalCheckFailed {
    #[serde(rename = "Item")]
    pub(super) item: Option<ReadItem>,
}

impl ConditionalCheckFailed {
    /// Reads a service error; `None` for another kind.
    pub(super) fn of(service_error: &ServiceError) -> Option<Self> {
        let failed = service_error.code == "ConditionalCheckFailedException";
        failed.then(|| serde_json::from_slice(service_error.response.body()).unwrap_or_default())
    }
}
