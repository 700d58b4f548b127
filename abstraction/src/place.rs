//! [`Place`]: what a deployment creates for a resource or a trigger.

use serde::Serialize;

/// A resource of a platform that a resource or a trigger of an app needs, for tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The service and the kind of resource, such as `DynamoDB table`.
    pub service: &'static str,
    /// The physical name. That of a trigger without a resource is the value that its deployment needs, such as a path.
    pub name: String,
}

impl Place {
    /// A resource of a service, by its physical name.
    pub fn new(service: &'static str, name: impl Into<String>) -> Self {
        Self { service, name: name.into() }
    }
}
