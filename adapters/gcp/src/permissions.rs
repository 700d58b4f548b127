//! The permissions that an app needs on Google Cloud: predefined roles, by resource.

use isobar_abstraction::driver::{Access, Permission, PermissionRow, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{EventQueue, Result};

use crate::GcpConfig;
use crate::config::Placement;

const APP: &str = "the app";
const CALLER: &str = "the calling account";
const STORAGE_AGENT: &str = "Cloud Storage's agent";
const PUB_SUB_AGENT: &str = "Pub/Sub's agent";
const TABLE: &[ResourceKind] = &[ResourceKind::Table];
const BUCKET: &[ResourceKind] = &[ResourceKind::Bucket];
const ANY: &[Access] = &[Access::Read, Access::Write, Access::ReadWrite];

const DATABASE: &str = "Firestore database";
const OF_BUCKET: &str = "Cloud Storage bucket";
const TOPIC_ON: &str = "Pub/Sub topic";
const PROJECT: &str = "project";

const PUBLISHER: &[&str] = &["roles/pubsub.publisher"];
const OBJECT_USER: &[&str] = &["roles/storage.objectUser"];
const DATASTORE_USER: &[&str] = &["roles/datastore.user"];

const TABLE_READS: &[&str] = &["BatchGet", "RunQuery"];
/// The condition of a write is checked in the document that is read before.
const TABLE_WRITES: &[&str] = &["BatchGet", "Put", "Delete", "Add", "Transact"];
const BUCKET_READS: &[&str] = &["GetObject", "HeadObject", "objects.list"];
const BUCKET_WRITES: &[&str] = &["objects.insert", "objects.delete"];
const BUCKET_COPIES: &[&str] = &["objects.rewrite"];

const TO_READ: &str = "to read";
const TO_WRITE: &str = "only to write";
const TO_READ_AND_WRITE: &str = "to read and write";

const TABLE_READ: PermissionRow = PermissionRow::new(APP, "a table", TO_READ, &["roles/datastore.viewer"], DATABASE)
    .of(TABLE, &[Access::Read])
    .sends(&[TABLE_READS])
    .wider(
        "Firestore has no narrower scope than a database, so the app can read all of its tables: give apps that must not read \
         each other's tables databases of their own",
    );
const TABLE_BOTH: PermissionRow = PermissionRow::new(APP, "a table", TO_READ_AND_WRITE, DATASTORE_USER, DATABASE)
    .of(TABLE, &[Access::ReadWrite])
    .sends(&[TABLE_READS, TABLE_WRITES])
    .wider(
        "Firestore has no narrower scope than a database, so the app can use all of its tables: give apps that must not read \
         each other's tables databases of their own",
    )
    .note("on the project, with a condition on `resource.name` for one database");
const TABLE_WRITE: PermissionRow = PermissionRow::new(APP, "a table", TO_WRITE, DATASTORE_USER, DATABASE)
    .of(TABLE, &[Access::Write])
    .sends(&[TABLE_WRITES])
    .wider(
        "Firestore has no narrower scope than a database, and no predefined role that only writes, so the app can also read all \
         of its tables: give apps that must not read each other's tables databases of their own",
    );

const BUCKET_READ: PermissionRow =
    PermissionRow::new(APP, "a bucket", TO_READ, &["roles/storage.objectViewer"], OF_BUCKET)
        .of(BUCKET, &[Access::Read])
        .sends(&[BUCKET_READS]);
const BUCKET_BOTH: PermissionRow = PermissionRow::new(APP, "a bucket", TO_READ_AND_WRITE, OBJECT_USER, OF_BUCKET)
    .of(BUCKET, &[Access::ReadWrite])
    .sends(&[BUCKET_READS, BUCKET_WRITES, BUCKET_COPIES]);
const BUCKET_WRITE: PermissionRow = PermissionRow::new(APP, "a bucket", TO_WRITE, OBJECT_USER, OF_BUCKET)
    .of(BUCKET, &[Access::Write])
    .sends(&[BUCKET_WRITES])
    .wider(
        "the predefined role that only creates objects cannot overwrite or delete one, so the app has one that can also read \
         them",
    );
const SIGN: PermissionRow = PermissionRow::new(
    APP,
    "a bucket",
    "to sign URLs",
    &["roles/iam.serviceAccountTokenCreator"],
    "service account",
)
.of(BUCKET, ANY)
.sends(&[&["SignBlob"]])
.wider(
    "no predefined role only signs, so the app can also make tokens of its own account, and a bucket may sign URLs at any \
     time; a URL still allows no more than the app's own roles",
)
.note("on its own account");

const TOPIC: PermissionRow = PermissionRow::new(APP, "a topic", "to publish", PUBLISHER, TOPIC_ON)
    .of(&[ResourceKind::Topic], &[Access::Write, Access::ReadWrite])
    .sends(&[&["Publish"]]);

const SECRET: PermissionRow = PermissionRow::new(
    APP,
    "a secret or a configuration",
    "",
    &["roles/secretmanager.secretAccessor"],
    "Secret Manager secret",
)
.of(&ResourceKind::VALUES, ANY)
.sends(&[&["AccessSecretVersion"]])
.note(
    "for values that may be missing on the project, since Google reports a missing secret as `PermissionDenied` to an account \
     without it",
);

const RETRY: PermissionRow = PermissionRow::new(APP, "`on_message`", "to publish copies to retry", PUBLISHER, TOPIC_ON)
    .sends(&[&["Publish"]])
    .wider("copies to retry are published to the topic, so an app that only handles it can also publish to it")
    .note("only if the app does not publish to the topic");
const OWN_TOPIC: PermissionRow =
    PermissionRow::new(APP, "`on_object` or `on_write`", "to publish to its topic", PUBLISHER, TOPIC_ON)
        .sends(&[&["Publish"]])
        .note("`pages--events`: copies to retry; `links--writes`: also the keys of writes");
const DEAD: PermissionRow =
    PermissionRow::new(APP, "`on_message`, `on_object` or `on_write`", "to publish dead letters", PUBLISHER, TOPIC_ON)
        .sends(&[&["Publish"]])
        .note("the `--dead` topic of its subscription");

const NOTIFICATIONS: PermissionRow =
    PermissionRow::new(STORAGE_AGENT, "`on_object`", "to publish the events", PUBLISHER, TOPIC_ON).note(
        "on the project before `deployment_script`, which creates the topic: Cloud Storage tries it when a notification is made",
    );
const MOVES: PermissionRow = PermissionRow::new(
    PUB_SUB_AGENT,
    "`on_message`, `on_object` or `on_write`",
    "to publish dead letters",
    PUBLISHER,
    TOPIC_ON,
)
.note("the `--dead` topics, after the script; or the project");
const ACKNOWLEDGES: PermissionRow = PermissionRow::new(
    PUB_SUB_AGENT,
    "`on_message`, `on_object` or `on_write`",
    "to acknowledge what it moves to the dead letters",
    &["roles/pubsub.subscriber"],
    "Pub/Sub subscription",
)
.note("the subscriptions that push, after the script; or the project");
const EVENTS: PermissionRow =
    PermissionRow::new(CALLER, "`on_write`", "to receive the events", &["roles/eventarc.eventReceiver"], PROJECT)
        .wider("Eventarc has no narrower scope than a project, so the account can receive all of its events")
        .note("before the script");
const EVENTARC: PermissionRow =
    PermissionRow::new("Eventarc's agent", "`on_write`", "", &["roles/eventarc.serviceAgent"], PROJECT)
        .note("Google grants it when the service is enabled");

/// The rows behind [`permissions`], in the order of the documentation.
pub const PERMISSION_ROWS: &[PermissionRow] = &[
    TABLE_READ,
    TABLE_BOTH,
    TABLE_WRITE,
    BUCKET_READ,
    BUCKET_BOTH,
    BUCKET_WRITE,
    SIGN,
    TOPIC,
    SECRET,
    RETRY,
    OWN_TOPIC,
    DEAD,
    NOTIFICATIONS,
    MOVES,
    ACKNOWLEDGES,
    EVENTS,
    EVENTARC,
];

/// What a deployment of the app must allow on Google Cloud: for the resources, then for the triggers, each in the order of the
/// manifest. It makes no call. Errors: `Config`.
///
/// The `service account` that signs has the name of the holder, `the app`, and a `project` that is not configured has the name
/// `PROJECT`.
pub fn permissions(manifest: &Manifest, config: &GcpConfig) -> Result<Vec<Permission>> {
    let prefix = config.prefix.get()?;
    let mut found = Vec::new();
    for kind in ResourceKind::OWN {
        for resource in manifest.of_kind(kind) {
            let subject = format!("{kind} `{}`", resource.name);
            let name = match config.placement(&config.location(kind, &resource.name))? {
                Placement::Firestore { database, .. } => database,
                Placement::Storage { bucket, .. } => bucket,
                Placement::PubSub { topic, .. } => topic,
            };
            for row in PERMISSION_ROWS.iter().filter(|row| row.is_for(kind, resource.access)) {
                found.push(row.permission(&subject, if row.on == SIGN.on { APP } else { &name }));
            }
        }
    }
    if config.secrets.as_ref().is_none_or(|url| url.scheme() == "gsm") {
        found.extend(SECRET.of_values(manifest, &prefix));
    }
    for (queue, _) in manifest.queues() {
        found.extend(of_queue(&queue, manifest, config)?);
    }
    Ok(found)
}

fn of_queue(queue: &EventQueue, manifest: &Manifest, config: &GcpConfig) -> Result<Vec<Permission>> {
    let (subject, place) = (queue.to_string(), config.queue(queue)?);
    let mut found = Vec::new();
    match queue.kind() {
        ResourceKind::Topic if manifest.publishes(queue) => {}
        ResourceKind::Topic => found.push(RETRY.permission(&subject, &place.topic)),
        _ => found.push(OWN_TOPIC.permission(&subject, &place.topic)),
    }
    found.push(DEAD.permission(&subject, place.dead_letters()));
    if queue.kind() == ResourceKind::Bucket {
        found.push(NOTIFICATIONS.permission(&subject, &place.topic));
    }
    found.push(MOVES.permission(&subject, place.dead_letters()));
    found.push(ACKNOWLEDGES.permission(&subject, &place.subscription));
    if queue.kind() == ResourceKind::Table {
        let project = config.project.as_deref().unwrap_or("PROJECT");
        found.extend([EVENTS, EVENTARC].map(|row| row.permission(&subject, project)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::driver::Environment;
    use isobar_testkit::{declared, granted_on};

    use super::*;

    fn of(access: Access, vars: &[(&str, &str)]) -> Vec<Permission> {
        let environment = vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
        permissions(&declared(access), &GcpConfig::from_environment(&environment).unwrap()).unwrap()
    }

    #[test]
    fn access_to_a_resource_gives_the_narrowest_role() {
        for (access, table, bucket) in [
            (Access::Read, "roles/datastore.viewer", "roles/storage.objectViewer"),
            (Access::Write, "roles/datastore.user", "roles/storage.objectUser"),
            (Access::ReadWrite, "roles/datastore.user", "roles/storage.objectUser"),
        ] {
            let found = of(access, &[]);
            assert_eq!(granted_on(&found, DATABASE, "(default)"), [table]);
            assert_eq!(granted_on(&found, OF_BUCKET, "pages"), [bucket]);
            assert_eq!(granted_on(&found, "service account", APP), SIGN.grants);
            let of_bucket = found.iter().find(|it| it.on.service == OF_BUCKET).unwrap();
            assert_eq!(of_bucket.wider.is_some(), access == Access::Write);
            assert!(found.iter().all(|it| it.on.service != DATABASE || it.wider.is_some()));
        }
        let none = of(Access::None, &[]);
        assert!(none.iter().all(|it| ![DATABASE, OF_BUCKET, "service account"].contains(&it.on.service)));
    }

    #[test]
    fn triggers_have_roles_on_their_topics_and_subscriptions() {
        let found = of(Access::None, &[("GOOGLE_CLOUD_PROJECT", "shop")]);
        let holders = |name: &str| -> Vec<_> {
            let on = found.iter().filter(|it| it.on.service == TOPIC_ON && it.on.name == name);
            on.map(|it| (it.holder, it.wider.is_some())).collect()
        };
        assert_eq!(holders("clicks"), [(APP, true)]);
        assert_eq!(holders("pages--events"), [(APP, false), (STORAGE_AGENT, false)]);
        assert_eq!(holders("links--writes"), [(APP, false)]);
        for queue in ["clicks", "pages--events", "links--writes"] {
            assert_eq!(holders(&format!("{queue}--dead")), [(APP, false), (PUB_SUB_AGENT, false)], "{queue}");
            assert_eq!(granted_on(&found, ACKNOWLEDGES.on, queue), ["roles/pubsub.subscriber"], "{queue}");
        }
        assert_eq!(granted_on(&found, PROJECT, "shop"), [EVENTS.grants, EVENTARC.grants].concat());
        assert_eq!(of(Access::Write, &[]).iter().filter(|it| it.on == TOPIC.permission("", "clicks").on).count(), 1);
    }

    #[test]
    fn configuration_places_what_is_granted() {
        let urls = [
            ("ISOBAR_TABLE_LINKS", "firestore://old?database=shop"),
            ("ISOBAR_PREFIX", "dev-"),
            ("ISOBAR_SECRETS", "gsm://project"),
        ];
        let found = of(Access::Read, &urls);
        assert_eq!(granted_on(&found, DATABASE, "shop"), ["roles/datastore.viewer"]);
        assert_eq!(granted_on(&found, SECRET.on, "dev-api-token"), SECRET.grants);
        assert!(found.iter().all(|it| !it.purpose.contains("cache")));
    }
}
