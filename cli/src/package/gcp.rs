//! A stage on Google Cloud.

mod roles;

use isobar::EventQueue;
use isobar::config::ISOBAR_SECRETS;
use isobar::driver::{Derived, ResourceKind};
use isobar::gcp::{ApiRequest, DeployedService};
use isobar::manifest::{Manifest, Trigger};

use super::binary::Binary;
use super::files::{Files, IMAGE};
use super::oci;
use super::template::{aligned, data_output, fill, identifier, quoted};
use super::{BuildArgs, Group, Stack, group_of, source_of};
use crate::failure::Failure;

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../templates/gcp/", $name))
    };
}

/// The most digits of the number of a project.
const NUMBER: usize = 13;

/// The variables that can name the project.
const PROJECT: [&str; 4] = ["GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"];

/// In place of what only Terraform knows.
const URL: &str = "https://service";

/// Failures: what the build makes cannot run in Cloud Run.
pub(super) fn check(build: &BuildArgs) -> Result<(), Failure> {
    if build.arm64 {
        return Err(Failure::new("Cloud Run has no processors of AWS's Graviton").hint("package it without --arm64"));
    }
    if build.dynamic || cfg!(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))) {
        return Err(Failure::new("the image has no C library, so the program must be static")
            .hint("package it on Linux on x86-64, without --dynamic"));
    }
    Ok(())
}

pub(super) fn write(stack: &Stack<'_>, binary: &Binary, files: &mut Files) -> Result<(), Failure> {
    let services = stack.groups()?;
    let service = DeployedService::new("service", URL, "account", "region");
    let requests = stack.deployed.google_requests(stack.manifest, &service)?;
    let of = |(queue, name)| Subscription { name, topic: source_of(&queue), queue };
    let subscribed = stack.queues()?.into_iter().map(of).collect();
    let gcp = Gcp { stack, services: &services, subscribed, requests };
    let image = oci::image(&stack.manifest.app, &binary.content)?;
    for (name, content) in image.files {
        files.raw(&format!("{IMAGE}/{name}"), content);
    }
    files.terraform("main.tf", &gcp.main(&image.digest));
    files.terraform("variables.tf", &gcp.variables());
    files.terraform("services.tf", &gcp.services_file()?);
    files.terraform("roles.tf", &gcp.roles()?);
    files.terraform("tables.tf", &gcp.tables()?);
    files.terraform("buckets.tf", &gcp.buckets());
    files.terraform("topics.tf", &gcp.topics());
    files.terraform("subscriptions.tf", &gcp.subscriptions()?);
    files.terraform("secrets.tf", &gcp.secrets());
    files.terraform("alarms.tf", &gcp.alarms());
    files.terraform("schedules.tf", &gcp.schedules()?);
    files.terraform("outputs.tf", &gcp.outputs());
    let names = [("app", stack.manifest.app.as_str()), ("stage", stack.stage), ("repository", stack.name())];
    files.terraform("registry/main.tf", &fill(text!("registry/main.tf"), &names));
    let region = stack.build.region.as_deref().unwrap_or("europe-west1");
    let project = PROJECT.iter().find_map(|name| stack.process.var(name));
    let project =
        project.map_or_else(|| "# project = \"my-project\"\n\n".to_owned(), |id| format!("project = {}\n", quoted(id)));
    let sign = if project.starts_with('#') { "region" } else { "region " };
    let values = [("project", project.as_str()), ("sign", sign), ("region", region)];
    files.own("terraform.tfvars", fill(text!("terraform.tfvars"), &values));
    files.own("custom.tf", text!("custom.tf"));
    files.raw(".gitignore", text!("gitignore"));
    files.raw("README.md", gcp.readme(region));
    Ok(())
}

struct Gcp<'a> {
    stack: &'a Stack<'a>,
    services: &'a [Group],
    subscribed: Vec<Subscription>,
    /// What the adapter itself would create, for the settings of triggers.
    requests: Vec<ApiRequest>,
}

/// The subscription of a trigger, with its dead letters.
struct Subscription {
    queue: EventQueue,
    /// Its name without the prefix, such as `pages--events--thumbs`.
    name: String,
    /// The name of its topic without the prefix, such as `pages--events`.
    topic: String,
}

impl Subscription {
    fn dead(&self) -> String {
        Derived::DeadLetters.of(&self.name)
    }
}

impl Gcp<'_> {
    fn of(&self, has: impl Fn(&Manifest) -> bool) -> &Group {
        group_of(self.services, has)
    }

    fn of_queue(&self, queue: &EventQueue) -> &Group {
        self.of(|part| part.queues().any(|(other, _)| other == *queue))
    }

    fn main(&self, digest: &str) -> String {
        let has = |kind: ResourceKind| self.stack.made(kind).next().is_some();
        let manifest = self.stack.manifest;
        let has_queue = |kind: Option<ResourceKind>| {
            manifest.queues().any(|(queue, _)| kind.is_none_or(|kind| queue.kind() == kind))
        };
        let apis = [
            ("cloudscheduler", manifest.schedules().next().is_some()),
            ("eventarc", has_queue(Some(ResourceKind::Table))),
            ("firestore", has(ResourceKind::Table)),
            ("iam", true),
            ("iamcredentials", has(ResourceKind::Bucket)),
            ("monitoring", has_queue(None)),
            ("pubsub", has(ResourceKind::Topic) || has_queue(None)),
            ("run", true),
            ("secretmanager", !self.values().is_empty()),
            ("storage", has(ResourceKind::Bucket)),
        ];
        let apis: Vec<_> = apis.iter().filter(|(_, is_used)| *is_used).collect();
        let apis: Vec<_> = apis.iter().map(|(name, _)| format!("    \"{name}.googleapis.com\",")).collect();
        let values = [
            ("app", self.stack.manifest.app.as_str()),
            ("stage", self.stack.stage),
            ("prefix", &self.stack.prefix),
            ("repository", self.stack.name()),
            ("digest", digest),
            ("apis", &apis.join("\n")),
        ];
        fill(text!("main.tf"), &values)
    }

    fn variables(&self) -> String {
        let mut text = text!("variables.tf").to_owned();
        for service in self.services {
            let what = match service.end.is_empty() {
                true => "the service".to_owned(),
                false => format!("the service {}", service.name),
            };
            text += &fill(text!("variables_service.tf"), &[("end", &service.end), ("what", &what)]);
        }
        if self.stack.made(ResourceKind::Table).next().is_some() {
            text += text!("variables_tables.tf");
        }
        if self.stack.manifest.queues().next().is_some() {
            text += text!("variables_alarms.tf");
        }
        if self.stack.manifest.http() {
            text += text!("variables_http.tf");
        }
        text
    }

    /// Has the app triggers that are called with tokens?
    fn is_called(&self) -> bool {
        self.stack.manifest.triggers.iter().any(|trigger| !matches!(trigger, Trigger::Http))
    }

    fn services_file(&self) -> Result<String, Failure> {
        let mut text = String::new();
        for service in self.services {
            let ids = self.grants(service)?.into_iter().filter(|grant| grant.id.starts_with(service.id));
            let mut depends: Vec<_> = ids.map(|grant| format!("    {}.{},", grant.kind, grant.id)).collect();
            depends.insert(0, "    google_project_service.apis,".to_owned());
            let depends = match depends.len() {
                1 => "  depends_on = [google_project_service.apis]".to_owned(),
                _ => format!(
                    "  # A service that starts without its rights would fail its first requests.\n  depends_on = [\n{}\n  ]",
                    depends.join("\n").trim_end_matches(',')
                ),
            };
            let values = [
                ("service", service.id),
                ("name", &service.name),
                ("account", &format!("{}{}", self.stack.prefix, service.id)),
                ("end", &service.end),
                ("environment", &aligned(10, &self.environment(service))),
                ("depends", &depends),
            ];
            text += &fill(text!("service.tf"), &values);
        }
        if self.is_called() {
            text += &fill(text!("caller.tf"), &[("prefix", &self.stack.prefix), ("stage", self.stack.name())]);
        }
        if self.stack.manifest.http() {
            text += &fill(text!("domain.tf"), &[("service", self.of(Manifest::http).id)]);
        }
        Ok(text)
    }

    /// The variables with which the app finds its resources.
    fn places(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("ISOBAR_STAGE".to_owned(), quoted(self.stack.stage)),
            ("GOOGLE_CLOUD_PROJECT".to_owned(), "var.project".to_owned()),
        ];
        variables.extend(self.stack.placed().map(|(name, value)| (name.to_owned(), quoted(value))));
        if self.stack.made(ResourceKind::Table).next().is_some() {
            variables.push(("FIRESTORE_DATABASE".to_owned(), "google_firestore_database.tables.name".to_owned()));
        }
        for bucket in self.stack.made(ResourceKind::Bucket) {
            let url = format!("\"gs://${{google_storage_bucket.{}.name}}\"", identifier(bucket));
            variables.push((ResourceKind::Bucket.variable(bucket), url));
        }
        variables
    }

    fn environment(&self, service: &Group) -> Vec<(String, String)> {
        let mut variables = self.places();
        if self.is_called() {
            variables.push(("ISOBAR_EVENT_AUDIENCE".to_owned(), format!("local.url{}", service.end)));
            let account = "google_service_account.caller.email".to_owned();
            variables.push(("ISOBAR_EVENT_SERVICE_ACCOUNT".to_owned(), account));
        }
        variables.sort();
        variables
    }

    /// The store of secrets, if it is not that of the stage.
    fn other_secrets(&self) -> Option<&str> {
        self.stack.placed().find(|(name, _)| *name == ISOBAR_SECRETS).map(|(_, url)| url)
    }

    /// The names of secrets and configuration, each once.
    fn values(&self) -> Vec<&str> {
        if self.other_secrets().is_some() {
            return Vec::new();
        }
        let kinds = ResourceKind::VALUES.iter();
        let mut names: Vec<_> = kinds.flat_map(|kind| self.stack.manifest.of_kind(*kind)).collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        let mut names: Vec<_> = names.into_iter().map(|value| value.name.as_str()).collect();
        names.dedup();
        names
    }

    fn secrets(&self) -> String {
        let secret = |name: &str| fill(text!("secret.tf"), &[("id", &identifier(name)), ("name", name)]);
        self.values().into_iter().map(secret).collect()
    }

    /// What the adapter creates at the path that ends so.
    fn request(&self, end: &str) -> Result<&ApiRequest, Failure> {
        let found = self.requests.iter().find(|request| request.url.ends_with(end));
        found.ok_or_else(|| Failure::new(format!("bug in isobar: no request creates {end}")).hint("please report it"))
    }

    fn tables(&self) -> Result<String, Failure> {
        let mut text = String::new();
        for name in self.stack.made(ResourceKind::Table) {
            if text.is_empty() {
                text += text!("database.tf");
            }
            text += &fill(text!("table.tf"), &[("id", &identifier(name)), ("name", name)]);
        }
        let writes: Vec<_> = self.subscribed.iter().filter(|it| it.queue.kind() == ResourceKind::Table).collect();
        if !writes.is_empty() {
            text += text!("writes_location.tf");
        }
        for subscription in writes {
            let (name, service) = (subscription.queue.source(), self.of_queue(&subscription.queue));
            let request = self.request(&format!("?triggerId={}{name}", self.stack.prefix))?;
            let path = request.body["destination"]["cloudRun"]["path"].as_str().unwrap_or_default();
            let values = [("id", identifier(name)), ("name", name.to_owned()), ("service", service.id.to_owned())];
            let values = values.iter().map(|(name, value)| (*name, value.as_str())).chain([("path", path)]);
            text += &fill(text!("writes.tf"), &values.collect::<Vec<_>>());
        }
        Ok(text)
    }

    fn buckets(&self) -> String {
        self.stack.made(ResourceKind::Bucket).map(|name| self.bucket(name)).collect()
    }

    fn bucket(&self, name: &str) -> String {
        let (id, bucket) = (identifier(name), self.stack.bucket(name, "local.number", NUMBER));
        let mut text = fill(text!("bucket.tf"), &[("id", &id), ("bucket", &bucket)]);
        let is_of = |queue: &EventQueue| queue.kind() == ResourceKind::Bucket && queue.source() == name;
        if self.stack.manifest.queues().any(|(queue, _)| is_of(&queue)) {
            let topic = identifier(&Derived::Events.of(name));
            text += &fill(text!("notification.tf"), &[("id", &id), ("topic", &topic)]);
        }
        text
    }

    /// The name of a topic or a subscription of the stage. Those of the events of a bucket begin with its name.
    fn physical(&self, name: &str, queue: Option<&EventQueue>) -> String {
        match queue.filter(|queue| queue.kind() == ResourceKind::Bucket) {
            Some(queue) => {
                let end = name.strip_prefix(queue.source()).unwrap_or_default();
                format!("${{google_storage_bucket.{}.name}}{end}", identifier(queue.source()))
            }
            None => format!("${{local.prefix}}{name}"),
        }
    }

    fn topics(&self) -> String {
        let topic = |name: &str, queue: Option<&EventQueue>| {
            fill(text!("topic.tf"), &[("id", &identifier(name)), ("topic", &self.physical(name, queue))])
        };
        let mut text: String = self.stack.made(ResourceKind::Topic).map(|name| topic(name, None)).collect();
        let mut done = Vec::new();
        for subscription in &self.subscribed {
            let is_derived = subscription.queue.kind() != ResourceKind::Topic;
            if is_derived && !done.contains(&&subscription.topic) {
                text += &topic(&subscription.topic, Some(&subscription.queue));
                done.push(&subscription.topic);
            }
        }
        text
    }

    fn subscriptions(&self) -> Result<String, Failure> {
        self.subscribed.iter().map(|subscription| self.subscription(subscription)).collect()
    }

    fn subscription(&self, subscription: &Subscription) -> Result<String, Failure> {
        let Subscription { queue, name, topic } = subscription;
        let of_prefix = format!("{}{name}", self.stack.prefix);
        let body = &self.request(&format!("/subscriptions/{of_prefix}"))?.body;
        let value = |path: &str| body.pointer(path).and_then(|value| value.as_str()).unwrap_or_default();
        let (physical, service) = (self.physical(name, Some(queue)), self.of_queue(queue));
        let filter = match value("/filter") {
            "" => String::new(),
            filter => fill(text!("filter.tf"), &[("filter", &quoted(filter).replace(&of_prefix, &physical))]),
        };
        let dead = subscription.dead();
        let values = [
            ("id", identifier(name)),
            ("name", physical),
            ("topic", identifier(topic)),
            ("filter", filter),
            ("path", value("/pushConfig/pushEndpoint").trim_start_matches(URL).to_owned()),
            ("min", value("/retryPolicy/minimumBackoff").to_owned()),
            ("max", value("/retryPolicy/maximumBackoff").to_owned()),
            ("dead", identifier(&dead)),
            ("dead_name", self.physical(&dead, Some(queue))),
            ("service", service.id.to_owned()),
            ("end", service.end.clone()),
        ];
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Ok(fill(text!("subscription.tf"), &values))
    }

    fn alarms(&self) -> String {
        let name = |it: &Subscription| format!("    google_pubsub_subscription.{}.name", identifier(&it.dead()));
        let names: Vec<_> = self.subscribed.iter().map(name).collect();
        match names.is_empty() {
            true => String::new(),
            false => {
                let values = [("name", self.stack.name()), ("subscriptions", &names.join(",\n"))];
                fill(text!("alarms.tf"), &values)
            }
        }
    }

    fn schedules(&self) -> Result<String, Failure> {
        let mut text = String::new();
        let service = self.of(|part| part.schedules().next().is_some());
        for schedule in self.stack.manifest.schedules() {
            let job = format!("/jobs/{}{}", self.stack.prefix, schedule.name);
            let is_it = |request: &&ApiRequest| request.body["name"].as_str().is_some_and(|name| name.ends_with(&job));
            let body = self.requests.iter().find(is_it).map(|request| &request.body).cloned().unwrap_or_default();
            let values = [
                ("id", identifier(&schedule.name)),
                ("name", schedule.name.clone()),
                ("cron", body["schedule"].as_str().unwrap_or_default().to_owned()),
                ("path", body["httpTarget"]["uri"].as_str().unwrap_or_default().trim_start_matches(URL).to_owned()),
                ("service", service.id.to_owned()),
                ("end", service.end.clone()),
            ];
            let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            text += &fill(text!("schedule.tf"), &values);
        }
        Ok(text)
    }

    fn outputs(&self) -> String {
        let each = |value: &dyn Fn(&Group) -> String| {
            let pairs: Vec<_> = self.services.iter().map(|service| (service.id.to_owned(), value(service))).collect();
            aligned(4, &pairs)
        };
        let services = each(&|service| format!("google_cloud_run_v2_service.{}.name", service.id));
        let urls = each(&|service| format!("local.url{}", service.end));
        let mut text = fill(text!("outputs.tf"), &[("services", &services), ("urls", &urls)]);
        text += &data_output(self.places());
        if self.is_called() {
            text += text!("outputs_caller.tf");
        }
        if self.stack.manifest.http() {
            let service = self.of(Manifest::http);
            text += &fill(text!("outputs_http.tf"), &[("service", service.id), ("end", &service.end)]);
        }
        text
    }

    fn readme(&self, region: &str) -> String {
        let secrets = match self.values().is_empty() {
            true => String::new(),
            false => fill(text!("secrets.md"), &[("prefix", &self.stack.prefix)]),
        };
        let has_writes = self.subscribed.iter().any(|it| it.queue.kind() == ResourceKind::Table);
        let values = [
            ("app", self.stack.manifest.app.as_str()),
            ("stage", self.stack.stage),
            ("region", region),
            ("secrets", &secrets),
            ("queues", if self.subscribed.is_empty() { "" } else { text!("queues.md") }),
            ("writes", if has_writes { text!("writes.md") } else { "" }),
        ];
        fill(text!("README.md"), &values)
    }
}
