//! The places of a value: a variable, or a store.

use std::sync::Arc;

use super::driver::SecretStore;
use crate::resource::ResourceKind;
use crate::{Error, Result};

/// Where the values of one secret or configuration are.
#[derive(Debug)]
pub(crate) struct Source {
    variable: String,
    place: Place,
}

enum Place {
    /// The value of the variable.
    Variable(String),
    Store {
        store: Arc<dyn SecretStore>,
        key: String,
    },
}

/// The value of the variable may be a secret.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(_) => f.write_str("Variable"),
            Self::Store { store, key } => f.debug_struct("Store").field("store", store).field("key", key).finish(),
        }
    }
}

impl Source {
    /// The value of its variable.
    pub(crate) fn of_variable(variable: String, value: &str) -> Self {
        Self { variable, place: Place::Variable(value.to_owned()) }
    }

    /// A key of a store.
    pub(crate) fn in_store(variable: String, store: Arc<dyn SecretStore>, key: String) -> Self {
        Self { variable, place: Place::Store { store, key } }
    }

    /// Where a person finds the value, for an error about it.
    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::Variable(_) => self.variable.clone(),
            Place::Store { key, .. } => format!("the key `{key}`"),
        }
    }

    pub(crate) async fn read(&self) -> Result<Option<String>> {
        match &self.place {
            Place::Variable(value) => Ok(Some(value.clone())),
            Place::Store { store, key } => store.get(key).await,
        }
    }

    /// The value, if it is known without a call. Errors: `Config` if there is none.
    pub(crate) fn check(&self, kind: ResourceKind) -> Result<Option<String>> {
        let (store, key) = match &self.place {
            Place::Variable(value) => return Ok(Some(value.clone())),
            Place::Store { store, key } => (store, key),
        };
        let with_variable = |error: Error| Error::config(format!("{}, or set {}", error.message(), self.variable));
        store.check(key, kind).map_err(with_variable)
    }

    /// The error of a missing value, with what sets one.
    pub(crate) fn missing(&self, kind: ResourceKind) -> Error {
        match &self.place {
            Place::Variable(_) => Error::config(format!("{} is empty", self.variable)),
            Place::Store { store, key } => {
                let how = store.how_to_set(key, kind);
                Error::config(format!("it has no value; {how}, or set {}", self.variable))
            }
        }
    }
}
