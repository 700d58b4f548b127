//! The role assignments of a stage on Azure, from the permissions of the adapter.

use std::collections::{BTreeMap, BTreeSet};

use isobar::driver::{POISON, Permission, ResourceKind};

use super::super::described;
use super::super::template::{fill, identifier};
use super::Azure;
use crate::failure::Failure;
use crate::target::NO_ACCOUNT;

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../../templates/azure/", $name))
    };
}

/// Cosmos DB's own roles.
const COSMOS_ROLES: [(&str, &str, &str); 2] = [
    ("Cosmos DB Built-in Data Reader", "reader", "00000000-0000-0000-0000-000000000001"),
    ("Cosmos DB Built-in Data Contributor", "contributor", "00000000-0000-0000-0000-000000000002"),
];

/// What a permission is granted on.
enum Scope {
    /// The expressions of the resources, each with its name in Terraform.
    Own(Vec<(String, String)>),
    /// A container of Cosmos DB, which has roles of its own kind.
    Cosmos(String),
    /// A resource that is not made here.
    Other,
}

impl Azure<'_> {
    /// The role assignments, and those without which the Functions host does not start.
    pub(super) fn roles(&self) -> Result<(String, Vec<String>), Failure> {
        let (mut roles, mut cosmos, mut others) = (Roles::default(), Roles::default(), BTreeSet::new());
        roles.add(
            "insights_metrics_publisher",
            "azurerm_application_insights.app.id",
            "Monitoring Metrics Publisher",
            "For the app and the Functions host: logs",
        );
        for permission in self.stack.deployed.permissions(self.stack.manifest)? {
            let purpose = format!("For {}: {}", permission.holder, described(&permission));
            match self.scope(&permission) {
                Scope::Own(scopes) => {
                    for ((id, scope), role) in pairs(&scopes, &permission.grants) {
                        roles.add(&format!("{id}_{}", slug(role)), scope, role, &purpose);
                    }
                }
                Scope::Cosmos(container) => {
                    for grant in &permission.grants {
                        if let Some((_, word, id)) = COSMOS_ROLES.iter().find(|(role, ..)| role == grant) {
                            cosmos.add(&format!("{container}_{word}"), &container, id, &purpose);
                        }
                    }
                }
                Scope::Other => {
                    let (roles, on) = (permission.grants.join(", "), &permission.on);
                    others.insert(format!("#   {roles}, on the {} {}. {purpose}\n", on.service, on.name));
                }
            }
        }
        let mut text = String::new();
        for (id, Role { scope, role, purposes }) in roles.0 {
            let values = [("id", id.as_str()), ("scope", &scope), ("role", &role), ("purpose", &purposes.join("; "))];
            text += &fill(text!("role.tf"), &values);
        }
        for (id, Role { scope, role, purposes }) in cosmos.0 {
            let values =
                [("id", id.as_str()), ("container", &scope), ("role", &role), ("purpose", &purposes.join("; "))];
            text += &fill(text!("role_cosmos.tf"), &values);
        }
        if !others.is_empty() {
            text += "# These resources are made elsewhere. The identity needs there:\n#\n";
            text.extend(others);
        }
        let depends =
            ["Storage Blob Data Owner", "Storage Queue Data Contributor"].map(|role| format!("host_{}", slug(role)));
        Ok((text, depends.into()))
    }

    fn scope(&self, permission: &Permission) -> Scope {
        let name = permission.on.name.as_str();
        let own = name.strip_prefix(&self.stack.prefix).unwrap_or_default();
        let is_made = |kind: ResourceKind, name: &str| self.stack.made(kind).any(|made| made == name);
        let one = |resource: &str, id: &str| Scope::Own(vec![(id.to_owned(), format!("{resource}.{id}.id"))]);
        let id = identifier(own);
        match permission.on.service {
            "storage account of Functions" => one("azurerm_storage_account", "host"),
            "storage account" if name == NO_ACCOUNT => {
                Scope::Own(vec![("storage".to_owned(), "azurerm_storage_account.app.id".to_owned())])
            }
            "Key Vault secret" if self.has_vault => {
                Scope::Own(vec![("vault".to_owned(), "azurerm_key_vault.app.id".to_owned())])
            }
            "Cosmos DB container" if is_made(ResourceKind::Table, own) => Scope::Cosmos(id),
            "Cosmos DB container" if self.leases().as_deref() == Some(name) => Scope::Cosmos(identifier(name)),
            "blob container" if is_made(ResourceKind::Bucket, own) => one("azurerm_storage_container", &id),
            "Service Bus topic" if is_made(ResourceKind::Topic, own.trim_end_matches("--fifo")) => {
                one("azurerm_servicebus_topic", &id)
            }
            "Service Bus queue" => one("azurerm_servicebus_queue", &id),
            "Service Bus subscription" => Scope::Own(
                ["", "_fifo"]
                    .map(|end| (format!("{id}{end}"), format!("azurerm_servicebus_subscription.{id}{end}.id")))
                    .into(),
            ),
            "Storage queue" => {
                let found = self.storage_queues().find_map(|(queue, storage)| match name.strip_prefix(storage)? {
                    "" => Some(queue.id.clone()),
                    POISON => Some(format!("{}_dead", queue.id)),
                    _ => None,
                });
                found.map_or(Scope::Other, |id| one("azurerm_storage_queue", &id))
            }
            _ => Scope::Other,
        }
    }
}

/// Role assignments by their names in Terraform.
#[derive(Default)]
struct Roles(BTreeMap<String, Role>);

struct Role {
    scope: String,
    role: String,
    purposes: Vec<String>,
}

impl Roles {
    fn add(&mut self, id: &str, scope: &str, role: &str, purpose: &str) {
        let new = || Role { scope: scope.to_owned(), role: role.to_owned(), purposes: Vec::new() };
        let role = self.0.entry(id.to_owned()).or_insert_with(new);
        role.purposes.push(purpose.to_owned());
    }
}

fn pairs<'a>(
    scopes: &'a [(String, String)],
    roles: &'a [&'static str],
) -> impl Iterator<Item = (&'a (String, String), &'static str)> {
    scopes.iter().flat_map(move |scope| roles.iter().map(move |role| (scope, *role)))
}

/// The name of a role in the names of its assignments: `blob_contributor` for `Storage Blob Data Contributor`.
fn slug(role: &str) -> String {
    let words = role.split(' ').filter(|word| !["Azure", "Storage", "Data"].contains(word));
    words.collect::<Vec<_>>().join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_a_short_name() {
        for (role, name) in [
            ("Storage Blob Data Contributor", "blob_contributor"),
            ("Storage Queue Data Message Sender", "queue_message_sender"),
            ("Azure Service Bus Data Receiver", "service_bus_receiver"),
        ] {
            assert_eq!(slug(role), name);
        }
    }
}
