//! [`Permission`]: what a deployment allows an identity, and [`PermissionRow`]: the data that it is made from.

use serde::Serialize;

use crate::access::Access;
use crate::manifest::Manifest;
use crate::place::Place;
use crate::resource::ResourceKind;

/// What a deployment allows an identity, for tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Permission {
    /// The identity, such as `the app`, `the Functions host`, `the scheduler`.
    pub holder: &'static str,
    /// What it is for, such as ``table `links`, to read``.
    pub purpose: String,
    /// The actions of AWS, or the roles of Azure and Google.
    pub grants: Vec<&'static str>,
    /// The resource: the same `service` and `name` as in the places of the provider, or another one, such as
    /// `Firestore database`.
    pub on: Place,
    /// Why it allows more than the app declares, where the platform has nothing narrower.
    pub wider: Option<&'static str>,
}

/// A kind of permission of a provider. All of them are static data, which its documentation lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermissionRow {
    /// The identity.
    pub holder: &'static str,
    /// The kind of resource or trigger, such as `a table`.
    pub subject: &'static str,
    /// What it is for, such as `to read`; empty if the subject says it.
    pub purpose: &'static str,
    /// The actions or the roles.
    pub grants: &'static [&'static str],
    /// The service of the resource that it is granted on.
    pub on: &'static str,
    /// The kinds of resources whose declaration needs it, and the declared access that does. Empty for the rows of triggers
    /// and of the platform.
    pub kinds: &'static [ResourceKind],
    /// The declared access that needs it.
    pub access: &'static [Access],
    /// The operations that the adapter sends with it, by the names in the field `operation` of the span `call`, in lists.
    pub operations: &'static [&'static [&'static str]],
    /// Why it allows more than the app declares.
    pub wider: Option<&'static str>,
    /// A remark for the documentation.
    pub note: &'static str,
}

impl PermissionRow {
    /// A row of the platform or of triggers.
    pub const fn new(
        holder: &'static str,
        subject: &'static str,
        purpose: &'static str,
        grants: &'static [&'static str],
        on: &'static str,
    ) -> Self {
        let (kinds, access, operations) = (&[], &[], &[]);
        Self { holder, subject, purpose, grants, on, kinds, access, operations, wider: None, note: "" }
    }

    /// Sets the kinds of resources that need it, with any of these kinds of access.
    #[must_use]
    pub const fn of(self, kinds: &'static [ResourceKind], access: &'static [Access]) -> Self {
        Self { kinds, access, ..self }
    }

    /// Sets the operations that the adapter sends.
    #[must_use]
    pub const fn sends(self, operations: &'static [&'static [&'static str]]) -> Self {
        Self { operations, ..self }
    }

    /// Sets why it allows more than the app declares.
    #[must_use]
    pub const fn wider(self, reason: &'static str) -> Self {
        Self { wider: Some(reason), ..self }
    }

    /// Sets a remark for the documentation.
    #[must_use]
    pub const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// Does a resource of this kind need it, if an app declares this access?
    pub fn is_for(&self, kind: ResourceKind, access: Access) -> bool {
        self.kinds.contains(&kind) && self.access.contains(&access)
    }

    /// The permission for a subject, such as ``table `links` ``, on the resource of this name.
    pub fn permission(&self, subject: &str, name: impl Into<String>) -> Permission {
        let purpose = match self.purpose {
            "" => subject.to_owned(),
            purpose => format!("{subject}, {purpose}"),
        };
        let (grants, on) = (self.grants.to_vec(), Place::new(self.on, name));
        Permission { holder: self.holder, purpose, grants, on, wider: self.wider }
    }

    /// The permissions for the secrets and the configuration of an app, whose names on the platform begin with this prefix.
    pub fn of_values(&self, manifest: &Manifest, prefix: &str) -> Vec<Permission> {
        let of = |kind: ResourceKind| manifest.of_kind(kind).map(move |value| (kind, &value.name));
        let values = ResourceKind::VALUES.into_iter().flat_map(of);
        values.map(|(kind, name)| self.permission(&format!("{kind} `{name}`"), format!("{prefix}{name}"))).collect()
    }
}
