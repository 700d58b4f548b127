//! The roles of the accounts of a stage on Google Cloud, from the permissions of the adapter.

use isobar::driver::{Permission, ResourceKind, ResourceUrl};
use isobar::manifest::{DeclaredResource, Manifest};

use super::super::template::{aligned, identifier, quoted};
use super::super::{Group, described};
use super::Gcp;
use crate::failure::Failure;
use crate::target::database_of;

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../../templates/gcp/", $name))
    };
}

/// The permissions of one holder with one role on one resource.
pub(super) struct Grant {
    pub(super) kind: &'static str,
    pub(super) id: String,
    purposes: Vec<String>,
    lines: Vec<(String, String)>,
    /// The title of a condition, and the resource that it is for.
    condition: Option<(String, String)>,
}

impl Gcp<'_> {
    pub(super) fn roles(&self) -> Result<String, Failure> {
        let mut grants: Vec<Grant> = Vec::new();
        for service in self.services {
            for grant in self.grants(service)? {
                add(&mut grants, grant);
            }
        }
        let mut text = String::new();
        for (holder, agent) in [("storage_", text!("storage_agent.tf")), ("pubsub_", text!("pubsub_agent.tf"))] {
            if grants.iter().any(|grant| grant.id.starts_with(holder)) {
                text += agent;
            }
        }
        text.extend(grants.iter().map(Grant::text));
        Ok(text)
    }

    /// The grants of a service, and those of the platform for its triggers.
    pub(super) fn grants(&self, service: &Group) -> Result<Vec<Grant>, Failure> {
        let mut grants = Vec::new();
        for permission in self.stack.deployed.permissions(&self.on_google(&service.manifest))? {
            let holder = match permission.holder {
                "the app" => (service.id, format!("google_service_account.{}.member", service.id)),
                "the calling account" => ("caller", "google_service_account.caller.member".to_owned()),
                "Cloud Storage's agent" => {
                    ("storage", "data.google_storage_project_service_account.agent.member".to_owned())
                }
                "Pub/Sub's agent" => ("pubsub", "local.pubsub_agent".to_owned()),
                // Google grants it when the API is enabled.
                _ => continue,
            };
            for role in &permission.grants {
                add(&mut grants, self.grant(&permission, role, (holder.0, &holder.1), service));
            }
        }
        Ok(grants)
    }

    fn grant(&self, permission: &Permission, role: &str, holder: (&str, &str), service: &Group) -> Grant {
        let name = permission.on.name.as_str();
        let own = name.strip_prefix(&self.stack.prefix).unwrap_or(name);
        let id = identifier(own);
        let (mut lines, mut condition) = (Vec::new(), None);
        let mut line = |name: &str, value: String| lines.push((name.to_owned(), value));
        // A resource that is made elsewhere may be in another project.
        let project_of = |kind: ResourceKind, is_it: &dyn Fn(&ResourceUrl) -> bool| {
            let urls = self.stack.manifest.of_kind(kind).filter_map(|resource| self.url_of(kind, &resource.name));
            let url = urls.into_iter().find(|url| is_it(url))?;
            Some(url.parameter("project").map_or_else(|| "var.project".to_owned(), quoted))
        };
        let (kind, id) = match permission.on.service {
            "Cloud Storage bucket" => {
                let is_made = self.stack.made(ResourceKind::Bucket).any(|bucket| bucket == own);
                let bucket = if is_made { format!("google_storage_bucket.{id}.name") } else { quoted(name) };
                line("bucket", bucket);
                ("google_storage_bucket_iam_member", format!("{}_{id}", holder.0))
            }
            "Pub/Sub topic" => {
                match project_of(ResourceKind::Topic, &|url| url.name() == name) {
                    Some(project) => {
                        line("project", project);
                        line("topic", quoted(name));
                    }
                    None => line("topic", format!("google_pubsub_topic.{id}.id")),
                }
                ("google_pubsub_topic_iam_member", format!("{}_{id}", holder.0))
            }
            "Pub/Sub subscription" => {
                line("subscription", format!("google_pubsub_subscription.{id}.id"));
                ("google_pubsub_subscription_iam_member", format!("{}_{id}", holder.0))
            }
            "Secret Manager secret" => {
                match self.other_secrets() {
                    None => line("secret_id", format!("google_secret_manager_secret.{id}.id")),
                    Some(url) => {
                        let project = url.trim_start_matches("gsm://").split('?').next().unwrap_or_default();
                        line("project", if project.is_empty() { "var.project".to_owned() } else { quoted(project) });
                        line("secret_id", quoted(name));
                    }
                }
                ("google_secret_manager_secret_iam_member", format!("{}_{id}", holder.0))
            }
            "service account" => {
                line("service_account_id", format!("google_service_account.{}.name", service.id));
                ("google_service_account_iam_member", holder.0.to_owned())
            }
            "Firestore database" => {
                let id = format!("{}_{}", holder.0, name_of(role));
                let (project, path, end) = match name == database_of(&self.stack.prefix) {
                    true => {
                        ("var.project".to_owned(), "${google_firestore_database.tables.id}".to_owned(), String::new())
                    }
                    false => {
                        let is_it = |url: &ResourceUrl| url.parameter("database") == Some(name);
                        let project = project_of(ResourceKind::Table, &is_it);
                        let project = project.unwrap_or_else(|| "var.project".to_owned());
                        let part = match project.as_str() {
                            "var.project" => "${var.project}",
                            other => other.trim_matches('"'),
                        };
                        let path = format!("projects/{part}/databases/{name}");
                        (project, path, format!("_{}", name.trim_matches(['(', ')'])))
                    }
                };
                line("project", project);
                condition = Some((name.to_owned(), path));
                ("google_project_iam_member", format!("{id}{end}"))
            }
            _ => {
                line("project", "var.project".to_owned());
                ("google_project_iam_member", format!("{}_{}", holder.0, name_of(role)))
            }
        };
        line("role", quoted(role));
        line("member", holder.1.to_owned());
        Grant { kind, id, purposes: vec![described(permission)], lines, condition }
    }

    /// Where a resource is that is made elsewhere.
    fn url_of(&self, kind: ResourceKind, name: &str) -> Option<ResourceUrl> {
        let variable = kind.variable(name);
        self.stack.placed().find(|(name, _)| *name == variable).and_then(|(_, url)| ResourceUrl::parse(url).ok())
    }

    /// What the app declares, without the resources in other clouds.
    fn on_google(&self, part: &Manifest) -> Manifest {
        let is_here = |resource: &&DeclaredResource| match ResourceKind::OWN
            .into_iter()
            .find(|kind| kind.name() == resource.kind)
        {
            Some(kind) => {
                self.url_of(kind, &resource.name).is_none_or(|url| isobar::gcp::ADAPTER.schemes.contains(&url.scheme()))
            }
            None => self.other_secrets().is_none_or(|url| url.starts_with("gsm://")),
        };
        let resources: Vec<_> = part.resources.iter().filter(is_here).cloned().collect();
        Manifest::new(&part.app).with_resources(resources).with_triggers(part.triggers.clone())
    }
}

impl Grant {
    fn text(&self) -> String {
        let purposes: String = self.purposes.iter().map(|purpose| format!("# {purpose}\n")).collect();
        let condition = self.condition.as_ref().map_or_else(String::new, |(title, path)| {
            format!(
                "\n\n  condition {{\n    title      = {}\n    expression = \"resource.name == \\\"{}\\\"\"\n  }}",
                quoted(title),
                path
            )
        });
        let lines = aligned(2, &self.lines);
        format!("{purposes}resource \"{}\" \"{}\" {{\n{lines}{condition}\n}}\n\n", self.kind, self.id)
    }
}

/// Adds a grant, or its purposes to the same one.
fn add(grants: &mut Vec<Grant>, grant: Grant) {
    match grants.iter_mut().find(|other| other.kind == grant.kind && other.id == grant.id) {
        Some(other) => {
            let new =
                grant.purposes.into_iter().filter(|purpose| !other.purposes.contains(purpose)).collect::<Vec<_>>();
            other.purposes.extend(new);
        }
        None => grants.push(grant),
    }
}

/// `roles/eventarc.eventReceiver` as `eventarc_event_receiver`.
fn name_of(role: &str) -> String {
    let name = role.trim_start_matches("roles/");
    let word = |sign: char| match sign {
        '.' => "_".to_owned(),
        upper if upper.is_ascii_uppercase() => format!("_{}", upper.to_ascii_lowercase()),
        other => other.to_string(),
    };
    name.chars().map(word).collect()
}
