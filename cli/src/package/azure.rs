//! A stage on Azure.
//!
//! # The trigger secret
//!
//! The names of the functions end in a secret, so the archive is built with it. The command makes it once for a stage, in the file
//! `trigger-secret`, which is in `.gitignore`; or it is that of `ISOBAR_TRIGGER_SECRET`, where the folder is made again for each
//! deployment. The archive also has the script `start`, which passes the secret to the program. So the secret is in the archive
//! only, which needs it in any case, and not in app settings, Terraform's files and its state; and the names and the program
//! change together, in one publication.

mod roles;

use std::collections::BTreeMap;

use isobar::EventQueue;
use isobar::azure::ISOBAR_TRIGGER_SECRET;
use isobar::config::ISOBAR_SECRETS;
use isobar::driver::{Derived, POISON, ResourceKind};
use isobar::manifest::{Manifest, Trigger};

use super::binary::Binary;
use super::files::Files;
use super::template::{aligned, data_output, fill, identifier, quoted};
use super::zip::{Entry, archive};
use super::{BuildArgs, Stack};
use crate::failure::Failure;

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../templates/azure/", $name))
    };
}

const ZIP: &str = "app.zip";

/// The file with the trigger secret.
const SECRET: &str = "trigger-secret";

/// What the Functions host starts, and what that starts.
const START: &str = "start";
const PROGRAM: &str = "app";

/// The characters of a storage account's name before the hash of 8 and `host`.
const ACCOUNT: usize = 12;

/// Refuses what Flex Consumption does not have, before the app is built.
pub(super) fn check(build: &BuildArgs) -> Result<(), Failure> {
    if build.split {
        return Err(Failure::new(
            "on Azure, the functions of an app cannot be split: Flex Consumption scales each trigger by itself",
        )
        .hint("package it without --split"));
    }
    if build.arm64 {
        return Err(Failure::new("Flex Consumption has no processors for --arm64").hint("package it without --arm64"));
    }
    Ok(())
}

pub(super) fn write(stack: &Stack<'_>, binary: &Binary, files: &mut Files) -> Result<(), Failure> {
    let azure = Azure::new(stack)?;
    let secret = azure.secret(files)?;
    files.private(ZIP, azure.archive(binary, &secret)?);
    let base = stack.name();
    let short: String = base.replace('-', "").chars().take(ACCOUNT).collect();
    let place = [
        ("app", stack.manifest.app.as_str()),
        ("stage", stack.stage),
        ("prefix", &stack.prefix),
        ("base", base),
        ("short", &short),
    ];
    let (roles, depends) = azure.roles()?;
    files.terraform("main.tf", &fill(text!("main.tf"), &place));
    files.terraform("variables.tf", &azure.variables());
    files.terraform("function.tf", &azure.function(&depends));
    files.terraform("roles.tf", &roles);
    files.terraform("tables.tf", &azure.tables());
    files.terraform("storage.tf", &azure.storage());
    files.terraform("topics.tf", &azure.topics());
    files.terraform("protect.tf", &azure.protect());
    files.terraform("secrets.tf", if azure.has_vault { text!("secrets.tf") } else { "" });
    files.terraform("alarms.tf", &azure.alarms());
    files.terraform("domain.tf", if stack.manifest.http() { text!("domain.tf") } else { "" });
    files.terraform("outputs.tf", &azure.outputs());
    let region = stack.build.region.as_deref().unwrap_or("westeurope");
    files.own("terraform.tfvars", fill(text!("terraform.tfvars"), &[("region", region)]));
    files.own("custom.tf", text!("custom.tf"));
    files.raw(".gitignore", text!("gitignore"));
    files.raw("README.md", azure.readme());
    Ok(())
}

struct Azure<'a> {
    stack: &'a Stack<'a>,
    queues: Vec<Queue>,
    has_vault: bool,
}

/// The queue of a trigger.
struct Queue {
    queue: EventQueue,
    /// Its name in Terraform.
    id: String,
    /// The name of the queue in Storage; `None` in Service Bus.
    storage: Option<String>,
}

impl Queue {
    /// The subscription in Service Bus, without the prefix.
    fn subscription(&self) -> String {
        self.queue.physical(self.queue.source())
    }
}

impl<'a> Azure<'a> {
    fn new(stack: &'a Stack<'a>) -> Result<Self, Failure> {
        for (name, value) in stack.placed() {
            let is_own = ["cosmos://", "aztable://", "az://", "servicebus://", "azqueue://"]
                .iter()
                .any(|scheme| value.starts_with(scheme));
            if is_own && !["account=", "namespace=", "endpoint="].iter().any(|named| value.contains(named)) {
                return Err(Failure::new(format!("{name} is `{value}`, which names no account"))
                    .hint(format!("unset {name}, so that the stage makes the resource, or add `?account=NAME`")));
            }
        }
        let queues = stack.queues()?.into_iter().map(|(queue, name)| Self::queue(stack, queue, &name));
        let queues = queues.collect::<Result<_, _>>()?;
        let values = ResourceKind::VALUES.iter().any(|kind| stack.manifest.of_kind(*kind).next().is_some());
        Ok(Self { stack, queues, has_vault: values && stack.deployed.needs_vault() })
    }

    fn queue(stack: &Stack<'_>, queue: EventQueue, name: &str) -> Result<Queue, Failure> {
        // The places of a manifest with only this trigger are those of its queue.
        let is_of = |trigger: &&Trigger| {
            let part = Manifest::new(&stack.manifest.app).with_triggers([(*trigger).clone()]);
            part.queues().any(|(other, _)| other == queue)
        };
        let triggers = stack.manifest.triggers.iter().filter(is_of).cloned();
        let places = stack.deployed.places(&Manifest::new(&stack.manifest.app).with_triggers(triggers))?;
        let of_storage =
            places.into_iter().find(|place| place.service == "Storage queue" && !place.name.ends_with(POISON));
        Ok(Queue { id: identifier(name), queue, storage: of_storage.map(|place| place.name) })
    }

    /// The secret: that of the process, of the stage, or a new one.
    fn secret(&self, files: &mut Files) -> Result<String, Failure> {
        if let Some(secret) = self.stack.process.var(ISOBAR_TRIGGER_SECRET) {
            return Ok(secret.to_owned());
        }
        let path = self.stack.folder.join(SECRET);
        let secret = match std::fs::read_to_string(&path) {
            Ok(text) if is_secret(text.trim()) => text.trim().to_owned(),
            Ok(_) => {
                return Err(Failure::new(format!("{} is no trigger secret", path.display()))
                    .hint("delete it: `isobar package` makes a new one"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => new_secret()?,
            Err(error) => return Err(Failure::new(format!("{} cannot be read", path.display())).because(&error)),
        };
        files.private(SECRET, format!("{secret}\n"));
        Ok(secret)
    }

    fn archive(&self, binary: &Binary, secret: &str) -> Result<Vec<u8>, Failure> {
        let app = self.stack.deployed.function_app(self.stack.manifest, START, secret)?;
        let (files, start) = (app.files(), fill(text!("start"), &[("secret", secret)]));
        let mut entries: Vec<_> = files
            .iter()
            .map(|(name, text)| Entry { name: name.clone(), content: text.as_bytes(), mode: 0o644 })
            .collect();
        entries.push(Entry { name: START.to_owned(), content: start.as_bytes(), mode: 0o755 });
        entries.push(Entry { name: PROGRAM.to_owned(), content: &binary.content, mode: 0o755 });
        archive(entries)
    }

    /// The queues in Storage, with their names there.
    fn storage_queues(&self) -> impl Iterator<Item = (&Queue, &str)> {
        self.queues.iter().filter_map(|queue| Some((queue, queue.storage.as_deref()?)))
    }

    /// The subscriptions in Service Bus.
    fn subscriptions(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter(|queue| queue.storage.is_none())
    }

    fn has_storage(&self) -> bool {
        self.stack.makes(ResourceKind::Bucket) || self.storage_queues().next().is_some()
    }

    /// A physical name in quotes, with the prefix as a reference.
    fn named(&self, name: &str) -> String {
        match name.split_once(&self.stack.prefix) {
            Some((before, after)) => format!("{before}${{local.prefix}}{after}"),
            None => name.to_owned(),
        }
    }

    fn variables(&self) -> String {
        let mut text = text!("variables.tf").to_owned();
        if self.has_storage() {
            text += text!("variables_storage.tf");
        }
        if !self.queues.is_empty() {
            text += text!("variables_alarms.tf");
        }
        if self.stack.manifest.http() {
            text += text!("variables_domain.tf");
        }
        text
    }

    fn function(&self, depends: &[String]) -> String {
        let depends: Vec<_> = depends.iter().map(|id| format!("    azurerm_role_assignment.{id},")).collect();
        let values = [("settings", aligned(4, &self.settings())), ("depends", depends.join("\n"))];
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fill(text!("function.tf"), &values)
    }

    fn settings(&self) -> Vec<(String, String)> {
        const CLIENT: &str = "azurerm_user_assigned_identity.app.client_id";
        let mut settings = BTreeMap::from([
            ("ISOBAR_STAGE".to_owned(), quoted(self.stack.stage)),
            ("AZURE_CLIENT_ID".to_owned(), CLIENT.to_owned()),
            (
                "APPLICATIONINSIGHTS_AUTHENTICATION_STRING".to_owned(),
                format!("\"ClientId=${{{CLIENT}}};Authorization=AAD\""),
            ),
        ]);
        // The Functions host reads the account and the identity of each connection.
        let mut connection = |name: &str, setting: &str, value: &str| {
            settings.insert(format!("{name}__{setting}"), value.to_owned());
            settings.insert(format!("{name}__credential"), quoted("managedidentity"));
            settings.insert(format!("{name}__clientId"), CLIENT.to_owned());
        };
        connection("AzureWebJobsStorage", "accountName", "azurerm_storage_account.host.name");
        if self.stack.makes(ResourceKind::Table) {
            connection("AZURE_COSMOS", "accountEndpoint", "azurerm_cosmosdb_account.app.endpoint");
        }
        if self.stack.makes(ResourceKind::Topic) {
            let host = "\"${azurerm_servicebus_namespace.app.name}.servicebus.windows.net\"";
            connection("AZURE_SERVICEBUS", "fullyQualifiedNamespace", host);
        }
        if self.has_storage() {
            connection("AZURE_STORAGE", "queueServiceUri", "azurerm_storage_account.app.primary_queue_endpoint");
            settings.insert("AZURE_STORAGE_ACCOUNT".to_owned(), "azurerm_storage_account.app.name".to_owned());
        }
        if self.has_vault {
            settings.insert(ISOBAR_SECRETS.to_owned(), "\"keyvault://${azurerm_key_vault.app.name}\"".to_owned());
        }
        settings.extend(self.stack.placed().map(|(name, value)| (name.to_owned(), quoted(value))));
        settings.into_iter().collect()
    }

    /// The settings with which a person, without a managed identity, finds the resources.
    fn places(&self) -> Vec<(String, String)> {
        let is_place = |name: &str| {
            let placed = ResourceKind::OWN.iter().any(|kind| name.starts_with(&kind.variable_prefix()));
            let of_account = ["__accountEndpoint", "__fullyQualifiedNamespace"].iter().any(|end| name.ends_with(end));
            placed || of_account || ["ISOBAR_STAGE", "AZURE_STORAGE_ACCOUNT"].contains(&name)
        };
        self.settings().into_iter().filter(|(name, _)| is_place(name)).collect()
    }

    /// The container of the positions in the feeds of writes.
    fn leases(&self) -> Option<String> {
        let has_writes = self.queues.iter().any(|queue| queue.queue.kind() == ResourceKind::Table);
        has_writes.then(|| isobar::azure::LEASES.to_owned())
    }

    fn tables(&self) -> String {
        if !self.stack.makes(ResourceKind::Table) {
            return String::new();
        }
        let table = |name: &str| fill(text!("table.tf"), &[("id", &identifier(name)), ("name", name)]);
        let mut text = text!("tables.tf").to_owned();
        text.extend(self.stack.made(ResourceKind::Table).map(table));
        text.extend(self.leases().map(|name| fill(text!("leases.tf"), &[("id", &identifier(&name)), ("name", &name)])));
        text
    }

    fn storage(&self) -> String {
        if !self.has_storage() {
            return String::new();
        }
        let mut text = text!("storage.tf").to_owned();
        for name in self.stack.made(ResourceKind::Bucket) {
            text += &fill(text!("bucket.tf"), &[("id", &identifier(name)), ("name", name)]);
        }
        for (Queue { id, .. }, name) in self.storage_queues() {
            let poison = format!("{name}{POISON}");
            let values = [("id", id.as_str()), ("name", &self.named(name)), ("poison", &self.named(&poison))];
            text += &fill(text!("queue.tf"), &values);
        }
        let events: Vec<_> =
            self.storage_queues().filter(|(queue, _)| queue.queue.kind() == ResourceKind::Bucket).collect();
        if !events.is_empty() {
            text += text!("events.tf");
        }
        for (queue, _) in events {
            let values = [("id", queue.id.as_str()), ("bucket", &identifier(queue.queue.source()))];
            text += &fill(text!("event_subscription.tf"), &values);
        }
        text
    }

    fn protect(&self) -> String {
        let tables = self
            .stack
            .made(ResourceKind::Table)
            .map(|name| format!("azurerm_cosmosdb_sql_container.{}", identifier(name)));
        let buckets =
            self.stack.made(ResourceKind::Bucket).map(|name| format!("azurerm_storage_container.{}", identifier(name)));
        let data: Vec<_> = tables.chain(buckets).map(|name| format!("    {name},")).collect();
        match data.is_empty() {
            true => String::new(),
            false => fill(text!("protect.tf"), &[("data", &data.join("\n"))]),
        }
    }

    fn topics(&self) -> String {
        if !self.stack.makes(ResourceKind::Topic) {
            return String::new();
        }
        let topic = |name: &str| fill(text!("topic.tf"), &[("id", &identifier(name)), ("name", name)]);
        let mut text = text!("namespace.tf").to_owned();
        text.extend(self.stack.made(ResourceKind::Topic).map(topic));
        for queue in self.subscriptions() {
            let name = queue.subscription();
            for (end, session) in [("", ""), ("_fifo", "\n  requires_session = true\n")] {
                let values = [
                    ("id", queue.id.as_str()),
                    ("end", end),
                    ("name", &name),
                    ("topic", &identifier(queue.queue.source())),
                    ("session", session),
                ];
                text += &fill(text!("subscription.tf"), &values);
            }
            let dead = Derived::DeadLetters.of(&name);
            text += &fill(text!("dead.tf"), &[("id", &identifier(&dead)), ("name", &dead)]);
        }
        text
    }

    fn alarms(&self) -> String {
        let mut text = String::new();
        let dead: Vec<_> = self
            .subscriptions()
            .map(|queue| identifier(&Derived::DeadLetters.of(&queue.subscription())))
            .map(|id| format!("        azurerm_servicebus_queue.{id}.name,"))
            .collect();
        if !dead.is_empty() {
            text += &fill(text!("alarms_bus.tf"), &[("queues", &dead.join("\n"))]);
        }
        if self.storage_queues().next().is_some() {
            text += text!("alarms_queues.tf");
        }
        text
    }

    fn outputs(&self) -> String {
        let mut text = text!("outputs.tf").to_owned() + &data_output(self.places());
        if self.stack.manifest.http() {
            text += text!("outputs_domain.tf");
        }
        if self.has_vault {
            text += text!("outputs_secrets.tf");
        }
        text
    }

    fn readme(&self) -> String {
        let (app, stage) = (self.stack.manifest.app.as_str(), self.stack.stage);
        let mut text = fill(text!("README.md"), &[("app", app), ("stage", stage)]);
        if self.has_vault {
            text += &fill(text!("README_secrets.md"), &[("prefix", &self.stack.prefix)]);
        }
        if self.stack.makes(ResourceKind::Table) || self.stack.makes(ResourceKind::Bucket) {
            text += text!("README_data.md");
        }
        text
    }
}

/// Has a text the form of a trigger secret?
fn is_secret(text: &str) -> bool {
    (32..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// A new trigger secret: 32 of a-z and 0-9.
fn new_secret() -> Result<String, Failure> {
    const CHARACTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut secret = String::new();
    while secret.len() < 32 {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)
            .map_err(|error| Failure::new("the machine has no random numbers").because(&error))?;
        // Without the last bytes, each character is as likely as any other.
        let fair = bytes.iter().filter(|byte| **byte < 252).map(|byte| char::from(CHARACTERS[usize::from(byte % 36)]));
        secret.extend(fair.take(32 - secret.len()));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_its_form_and_is_new() {
        let secret = new_secret().unwrap();
        assert!(is_secret(&secret) && secret.len() == 32, "{} characters", secret.len());
        assert_ne!(secret, new_secret().unwrap());
    }
}
