//! A plan of Terraform: what a deployment changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::Output;

/// The kinds of resources that hold the data of an app.
const DATA: [&str; 10] = [
    "aws_dynamodb_table",
    "aws_s3_bucket",
    "azurerm_cosmosdb_sql_container",
    "azurerm_cosmosdb_sql_database",
    "azurerm_key_vault",
    "azurerm_storage_container",
    "azurerm_storage_table",
    "google_firestore_database",
    "google_secret_manager_secret",
    "google_storage_bucket",
];

/// What the platform stores for itself.
const OF_HOST: &str = "azurerm_storage_container.host_";

#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    #[serde(default)]
    resource_changes: Vec<Change>,
    /// What was changed outside of Terraform.
    #[serde(default)]
    resource_drift: Vec<Change>,
    #[serde(default)]
    output_changes: BTreeMap<String, Actions>,
}

#[derive(Debug, Deserialize)]
struct Change {
    address: String,
    mode: String,
    r#type: String,
    change: Actions,
    action_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Actions {
    actions: Vec<Action>,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    after_unknown: Value,
    /// The attributes whose change needs another resource, as paths.
    #[serde(default)]
    replace_paths: Vec<Vec<Value>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    NoOp,
    Create,
    Read,
    Update,
    Delete,
    Forget,
    #[serde(other)]
    Other,
}

/// A row of the plan as the command prints it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    action: &'static str,
    resource: String,
    /// The attributes that change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<String>,
}

impl Plan {
    pub(super) fn read(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(|error| Failure::new("the plan of Terraform is not known").because(&error))
    }

    /// What changes.
    pub(super) fn rows(&self) -> Vec<Row> {
        let changes = self.resource_changes.iter().filter(|change| change.mode == "managed");
        changes.filter_map(Change::row).collect()
    }

    /// Does it change a resource or an output?
    pub(super) fn has_changes(&self) -> bool {
        !self.rows().is_empty() || self.output_changes.values().any(|output| output.actions != [Action::NoOp])
    }

    /// Does it make the program of the app?
    pub(super) fn makes_app(&self) -> bool {
        let apps = ["aws_lambda_function", "azurerm_function_app_flex_consumption", "google_cloud_run_v2_service"];
        let is_new = |change: &Change| change.change.actions == [Action::Create] && apps.contains(&&*change.r#type);
        self.resource_changes.iter().any(is_new)
    }

    /// Deletes it no other data than a plan that was agreed to?
    pub(super) fn is_as_agreed(&self, agreed: &Self) -> bool {
        self.lost_data().iter().all(|address| agreed.lost_data().contains(address))
    }

    /// The resources with data that would be replaced because their creation was interrupted.
    pub(super) fn unfinished_data(&self) -> Vec<&str> {
        let tainted = self.resource_changes.iter().filter(|change| change.is_tainted());
        tainted.map(|change| change.address.as_str()).filter(|address| self.lost_data().contains(address)).collect()
    }

    /// The resources with data that would be deleted or replaced.
    pub(super) fn lost_data(&self) -> Vec<&str> {
        let deletes = |change: &&Change| {
            change.change.actions.contains(&Action::Delete)
                && DATA.contains(&&*change.r#type)
                && !change.address.starts_with(OF_HOST)
        };
        self.resource_changes.iter().filter(deletes).map(|change| change.address.as_str()).collect()
    }

    /// The resources that were changed outside of Terraform, where this plan changes them back. The plug-ins report others too,
    /// such as an attribute that they read only after the resource was made.
    fn drift(&self) -> Vec<String> {
        let changed = |change: &Change| {
            let is_planned = |other: &Change| {
                other.address == change.address && other.row().is_some_and(|row| row.action != "delete")
            };
            let attributes = change.change.changed();
            match change.change.actions.contains(&Action::Delete) {
                _ if !self.resource_changes.iter().any(is_planned) => None,
                true => Some(format!("{} was deleted outside of Terraform", change.address)),
                false if attributes.is_empty() => None,
                false => {
                    Some(format!("{} was changed outside of Terraform: {}", change.address, attributes.join(", ")))
                }
            }
        };
        self.resource_drift.iter().filter_map(changed).collect()
    }

    pub(super) fn print(&self, output: &Output) {
        for drift in self.drift() {
            output.warning(&drift);
        }
        let rows = self.rows();
        for row in &rows {
            let attributes = match row.attributes.is_empty() {
                true => String::new(),
                false => format!(": {}", row.attributes.join(", ")),
            };
            output.note(&format!("{:>12} {}{attributes}", row.action, row.resource));
        }
        let count = |action: &str| rows.iter().filter(|row| row.action == action).count();
        let parts = ["create", "change", "replace", "delete"].map(|action| (action, count(action)));
        let parts: Vec<_> = parts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(action, count)| format!("{count} to {action}"))
            .collect();
        match parts.is_empty() {
            true => output.step("Unchanged", "all resources"),
            false => output.step("Planned", &parts.join(", ")),
        }
    }
}

impl Change {
    fn is_tainted(&self) -> bool {
        self.action_reason.as_deref() == Some("replace_because_tainted")
    }

    fn row(&self) -> Option<Row> {
        let action = match self.change.actions[..] {
            [Action::Create] => "create",
            [Action::Update] => "change",
            [Action::Delete] => "delete",
            [Action::Create, Action::Delete] | [Action::Delete, Action::Create] => "replace",
            [Action::Forget] => "forget",
            _ => return None,
        };
        let attributes = match action {
            "replace" if self.is_tainted() => vec!["its creation was interrupted".to_owned()],
            "replace" => {
                let paths = self.change.replace_paths.iter().filter_map(|path| path.first()?.as_str());
                paths.map(str::to_owned).collect()
            }
            "change" => self.change.changed(),
            _ => Vec::new(),
        };
        Some(Row { action, resource: self.address.clone(), attributes })
    }
}

impl Actions {
    /// The names of the attributes that differ.
    fn changed(&self) -> Vec<String> {
        let (Some(before), after) = (self.before.as_object(), self.after.as_object()) else { return Vec::new() };
        let differs = |name: &&String| {
            let is_unknown = self.after_unknown.get(name.as_str()).is_some_and(|unknown| *unknown == true);
            is_unknown || after.is_some_and(|after| !is_same(after.get(*name), before.get(*name)))
        };
        before.keys().filter(differs).cloned().collect()
    }
}

/// An empty value and none are the same: which of them a plug-in stores depends on the call that it read last.
fn is_same(a: Option<&Value>, b: Option<&Value>) -> bool {
    let is_empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(values)) => values.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    a == b || is_empty(a) && is_empty(b)
}
