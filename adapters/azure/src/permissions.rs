//! The permissions that an app needs on Azure: built-in roles, by resource. Access by a key or a connection string needs none.

use isobar_abstraction::driver::{Access, Derived, POISON, Permission, PermissionRow, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{EventQueue, Result};

use crate::AzureConfig;
use crate::config::Placed;
use crate::deployment::LEASES;

const APP: &str = "the app";
const HOST: &str = "the Functions host";
const TABLE: &[ResourceKind] = &[ResourceKind::Table];
const BUCKET: &[ResourceKind] = &[ResourceKind::Bucket];
const TOPIC: &[ResourceKind] = &[ResourceKind::Topic];
const READ: &[Access] = &[Access::Read];
const WRITE: &[Access] = &[Access::Write];
const BOTH: &[Access] = &[Access::ReadWrite];
const PUBLISH: &[Access] = &[Access::Write, Access::ReadWrite];
const ANY: &[Access] = &[Access::Read, Access::Write, Access::ReadWrite];

const COSMOS: &str = "Cosmos DB container";
const STORAGE_TABLE: &str = "Storage table";
const CONTAINER: &str = "blob container";
const BUS_TOPIC: &str = "Service Bus topic";
const QUEUE: &str = "Storage queue";

const COSMOS_CONTRIBUTOR: &[&str] = &["Cosmos DB Built-in Data Contributor"];
const TABLE_CONTRIBUTOR: &[&str] = &["Storage Table Data Contributor"];
const BLOB_CONTRIBUTOR: &[&str] = &["Storage Blob Data Contributor"];
const BUS_SENDER: &[&str] = &["Azure Service Bus Data Sender"];
const QUEUE_SENDER: &[&str] = &["Storage Queue Data Message Sender"];

const COSMOS_READS: &[&str] = &["ReadItem", "QueryItems", "ReadFeed", "ReadPartitionKeyRanges"];
/// A write over an expired item reads it first.
const COSMOS_WRITES: &[&str] =
    &["ReadItem", "CreateItem", "UpsertItem", "ReplaceItem", "DeleteItem", "PatchItem", "TransactionalBatch"];
const TABLE_READS: &[&str] = &["GetEntity", "QueryEntities"];
const TABLE_WRITES: &[&str] = &["GetEntity", "PutEntity", "DeleteEntity", "EntityGroupTransaction"];
const BLOB_READS: &[&str] = &["GetBlob", "GetBlobProperties", "ListBlobs"];
const BLOB_WRITES: &[&str] = &["PutBlob", "PutBlock", "PutBlockList", "DeleteBlob"];
const BLOB_COPIES: &[&str] = &["CopyBlob"];

const TO_READ: &str = "to read";
const TO_WRITE: &str = "only to write";
const TO_READ_AND_WRITE: &str = "to read and write";

const ONLY_WRITES: &str = "Azure has no built-in role that only writes, so the app can also read it";
const COPIES: &str =
    "copies to retry are sent through the topic, so an app that only handles it can also publish to it";

const COSMOS_READ: PermissionRow =
    PermissionRow::new(APP, "a table in Cosmos DB", TO_READ, &["Cosmos DB Built-in Data Reader"], COSMOS)
        .of(TABLE, READ)
        .sends(&[COSMOS_READS]);
const COSMOS_BOTH: PermissionRow =
    PermissionRow::new(APP, "a table in Cosmos DB", TO_READ_AND_WRITE, COSMOS_CONTRIBUTOR, COSMOS)
        .of(TABLE, BOTH)
        .sends(&[COSMOS_READS, COSMOS_WRITES]);
const COSMOS_WRITE: PermissionRow =
    PermissionRow::new(APP, "a table in Cosmos DB", TO_WRITE, COSMOS_CONTRIBUTOR, COSMOS)
        .of(TABLE, WRITE)
        .sends(&[COSMOS_WRITES])
        .wider(ONLY_WRITES);

const TABLE_READ: PermissionRow =
    PermissionRow::new(APP, "a table in Table Storage", TO_READ, &["Storage Table Data Reader"], STORAGE_TABLE)
        .of(TABLE, READ)
        .sends(&[TABLE_READS]);
const TABLE_BOTH: PermissionRow =
    PermissionRow::new(APP, "a table in Table Storage", TO_READ_AND_WRITE, TABLE_CONTRIBUTOR, STORAGE_TABLE)
        .of(TABLE, BOTH)
        .sends(&[TABLE_READS, TABLE_WRITES]);
const TABLE_WRITE: PermissionRow =
    PermissionRow::new(APP, "a table in Table Storage", TO_WRITE, TABLE_CONTRIBUTOR, STORAGE_TABLE)
        .of(TABLE, WRITE)
        .sends(&[TABLE_WRITES])
        .wider(ONLY_WRITES);

const BLOB_READ: PermissionRow = PermissionRow::new(APP, "a bucket", TO_READ, &["Storage Blob Data Reader"], CONTAINER)
    .of(BUCKET, READ)
    .sends(&[BLOB_READS]);
const BLOB_BOTH: PermissionRow = PermissionRow::new(APP, "a bucket", TO_READ_AND_WRITE, BLOB_CONTRIBUTOR, CONTAINER)
    .of(BUCKET, BOTH)
    .sends(&[BLOB_READS, BLOB_WRITES, BLOB_COPIES]);
const BLOB_WRITE: PermissionRow = PermissionRow::new(APP, "a bucket", TO_WRITE, BLOB_CONTRIBUTOR, CONTAINER)
    .of(BUCKET, WRITE)
    .sends(&[BLOB_WRITES])
    .wider(ONLY_WRITES);
const SIGN: PermissionRow = PermissionRow::new(
    APP,
    "a bucket",
    "to sign URLs",
    &["Storage Blob Delegator"],
    "storage account",
)
.of(BUCKET, ANY)
.sends(&[&["GetUserDelegationKey"]])
.wider(
    "a user delegation key is valid for the whole storage account, and a bucket may sign URLs at any time; a URL still \
             allows no more than the app's own roles",
);

const BUS: PermissionRow = PermissionRow::new(APP, "a topic in Service Bus", "to publish", BUS_SENDER, BUS_TOPIC)
    .of(TOPIC, PUBLISH)
    .sends(&[&["SendMessageBatch"]])
    .note("on `clicks`, and on `clicks--fifo` for messages with an ordering key");
const QUEUE_TOPIC: PermissionRow =
    PermissionRow::new(APP, "a topic in Storage Queues", "to publish", QUEUE_SENDER, QUEUE)
        .of(TOPIC, PUBLISH)
        .sends(&[&["PutMessage"]]);

const SECRET: PermissionRow =
    PermissionRow::new(APP, "a secret or a configuration", "", &["Key Vault Secrets User"], "Key Vault secret")
        .of(&ResourceKind::VALUES, ANY)
        .sends(&[&["GetSecret"]])
        .note(
            "on the single secrets, which must exist; or on the vault: without a role there, a missing secret is \
     `PermissionDenied`, not missing",
        );

const BUS_RECEIVE: PermissionRow = PermissionRow::new(
    HOST,
    "`on_message` through Service Bus",
    "to receive",
    &["Azure Service Bus Data Receiver"],
    "Service Bus subscription",
)
.note("of both topics, or on the namespace; the topic alone is not enough");
const BUS_RETRY: PermissionRow =
    PermissionRow::new(APP, "`on_message` through Service Bus", "to send copies to retry", BUS_SENDER, BUS_TOPIC)
        .sends(&[&["SendMessageBatch"]])
        .wider(COPIES)
        .note("only if the app does not publish to the topic");
const BUS_DEAD: PermissionRow = PermissionRow::new(
    APP,
    "`on_message` through Service Bus",
    "to send dead letters",
    BUS_SENDER,
    "Service Bus queue",
)
.sends(&[&["SendMessageBatch"]])
.note("on the queues `clicks--dead`, `clicks--index--dead`");

const QUEUE_RECEIVE: PermissionRow = PermissionRow::new(
    HOST,
    "`on_message`, `on_object` or `on_write` through a Storage Queue",
    "to receive",
    &["Storage Queue Data Reader", "Storage Queue Data Message Processor"],
    QUEUE,
);
const QUEUE_RETRY: PermissionRow =
    PermissionRow::new(APP, "`on_object` or `on_write`", "to send to its queue", QUEUE_SENDER, QUEUE)
        .sends(&[&["PutMessage"]])
        .note("copies to retry, and the keys of writes");
const TOPIC_RETRY: PermissionRow =
    PermissionRow::new(APP, "`on_message` through a Storage Queue", "to send copies to retry", QUEUE_SENDER, QUEUE)
        .sends(&[&["PutMessage"]])
        .wider(COPIES)
        .note("only if the app does not publish to the topic");
const QUEUE_DEAD: PermissionRow = PermissionRow::new(
    APP,
    "`on_message`, `on_object` or `on_write` through a Storage Queue",
    "to send dead letters",
    QUEUE_SENDER,
    QUEUE,
)
.sends(&[&["PutMessage"]])
.note("on its `-poison` queue");

const FEED: PermissionRow = PermissionRow::new(HOST, "`on_write`", "to read the feed", COSMOS_CONTRIBUTOR, COSMOS)
    .wider("Microsoft documents no narrower role for the trigger, so the host can also write the table");
const FEED_LEASES: PermissionRow =
    PermissionRow::new(HOST, "`on_write`", "to keep its leases", COSMOS_CONTRIBUTOR, COSMOS)
        .note("on the container `isobar--leases`");

const FUNCTIONS: PermissionRow = PermissionRow::new(
    HOST,
    "the storage account of Functions",
    "for locks, timers and keys",
    &["Storage Blob Data Owner", "Storage Queue Data Contributor"],
    "storage account of Functions",
)
.wider(
    "the host can use all blobs and queues of its own storage account, and Microsoft documents no narrower role: keep it apart \
     from the account with your buckets",
);

/// The rows behind [`permissions`], in the order of the documentation.
pub const PERMISSION_ROWS: &[PermissionRow] = &[
    COSMOS_READ,
    COSMOS_BOTH,
    COSMOS_WRITE,
    TABLE_READ,
    TABLE_BOTH,
    TABLE_WRITE,
    BLOB_READ,
    BLOB_BOTH,
    BLOB_WRITE,
    SIGN,
    BUS,
    QUEUE_TOPIC,
    SECRET,
    BUS_RECEIVE,
    BUS_RETRY,
    BUS_DEAD,
    QUEUE_RECEIVE,
    QUEUE_RETRY,
    TOPIC_RETRY,
    QUEUE_DEAD,
    FEED,
    FEED_LEASES,
    FUNCTIONS,
];

/// What a deployment of the app must allow on Azure: first the Functions host's own account, by the app setting that names it,
/// then the resources and the triggers, each in the order of the manifest. It makes no call. Errors: `Config`.
pub fn permissions(manifest: &Manifest, config: &AzureConfig) -> Result<Vec<Permission>> {
    let prefix = config.prefix.get()?;
    let mut found = vec![FUNCTIONS.permission(FUNCTIONS.subject, "AzureWebJobsStorage")];
    for kind in ResourceKind::OWN {
        for resource in manifest.of_kind(kind) {
            let subject = format!("{kind} `{}`", resource.name);
            let placed = config.place(&config.source_of(&EventQueue::of(kind, &resource.name)))?;
            let (service, names) = match &placed {
                Placed::Cosmos { container, .. } => (COSMOS, vec![container.clone()]),
                Placed::Table { table, .. } => (STORAGE_TABLE, vec![table.clone()]),
                Placed::Blob { container, .. } => (CONTAINER, vec![container.clone()]),
                Placed::ServiceBus { topic, .. } => (BUS_TOPIC, vec![topic.clone(), Derived::Ordered.of(topic)]),
                Placed::Queue { queue, .. } => (QUEUE, vec![queue.clone()]),
            };
            let rows = PERMISSION_ROWS.iter().filter(|row| row.is_for(kind, resource.access));
            for row in rows.clone().filter(|row| row.on == service) {
                found.extend(names.iter().map(|name| row.permission(&subject, name)));
            }
            if let Placed::Blob { account, .. } = &placed {
                let signs = rows.filter(|row| row.on == SIGN.on);
                found.extend(signs.map(|row| row.permission(&subject, &account.name)));
            }
        }
    }
    if config.secrets.as_ref().is_none_or(|url| url.scheme() == "keyvault") {
        found.extend(SECRET.of_values(manifest, &prefix));
    }
    for (queue, _) in manifest.queues() {
        found.extend(of_queue(&queue, manifest, config)?);
    }
    Ok(found)
}

fn of_queue(queue: &EventQueue, manifest: &Manifest, config: &AzureConfig) -> Result<Vec<Permission>> {
    let subject = queue.to_string();
    let mut found = Vec::new();
    match config.trigger(queue)? {
        Placed::ServiceBus { topic, subscription, .. } => {
            found.push(BUS_RECEIVE.permission(&subject, &subscription));
            found.extend((!manifest.publishes(queue)).then(|| BUS_RETRY.permission(&subject, topic)));
            found.push(BUS_DEAD.permission(&subject, Derived::DeadLetters.of(&subscription)));
        }
        Placed::Queue { queue: name, .. } => {
            found.push(QUEUE_RECEIVE.permission(&subject, &name));
            let retry = if queue.kind() == ResourceKind::Topic { TOPIC_RETRY } else { QUEUE_RETRY };
            found.extend((!manifest.publishes(queue)).then(|| retry.permission(&subject, &name)));
            found.push(QUEUE_DEAD.permission(&subject, format!("{name}{POISON}")));
        }
        _ => {}
    }
    if let (ResourceKind::Table, Placed::Cosmos { container, .. }) =
        (queue.kind(), config.place(&config.source_of(queue))?)
    {
        found.extend([FEED.permission(&subject, container), FEED_LEASES.permission(&subject, LEASES)]);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use isobar_testkit::{declared, granted_on};

    use super::*;
    use crate::host::tests::config;

    fn of(access: Access, vars: &[(&str, &str)]) -> Vec<Permission> {
        permissions(&declared(access), &config(vars)).unwrap()
    }

    fn is_wider(permissions: &[Permission], purpose: &str) -> bool {
        permissions.iter().any(|it| it.purpose == purpose && it.wider.is_some())
    }

    #[test]
    fn access_to_a_resource_gives_the_narrowest_role() {
        for (access, table, bucket) in [
            (Access::Read, "Cosmos DB Built-in Data Reader", "Storage Blob Data Reader"),
            (Access::Write, "Cosmos DB Built-in Data Contributor", "Storage Blob Data Contributor"),
            (Access::ReadWrite, "Cosmos DB Built-in Data Contributor", "Storage Blob Data Contributor"),
        ] {
            let found = of(access, &[]);
            // The Functions host has its own role there, for the feed.
            assert_eq!(granted_on(&found, COSMOS, "links")[0], table);
            assert_eq!(granted_on(&found, CONTAINER, "pages"), [bucket]);
            assert_eq!(granted_on(&found, "storage account", "acc"), ["Storage Blob Delegator"]);
            assert_eq!(is_wider(&found, "table `links`, only to write"), access == Access::Write);
            assert_eq!(is_wider(&found, "bucket `pages`, only to write"), access == Access::Write);
        }
        let none = of(Access::None, &[]);
        assert!(none.iter().all(|it| it.on.service != CONTAINER && it.on.service != "storage account"));
    }

    #[test]
    fn an_app_that_only_handles_a_topic_publishes_copies_and_that_is_wider() {
        let copies = "topic `clicks`, to send copies to retry";
        let handles = of(Access::None, &[]);
        assert!(is_wider(&handles, copies));
        assert_eq!(granted_on(&handles, BUS_TOPIC, "clicks"), BUS_SENDER);
        assert!(granted_on(&handles, BUS_TOPIC, "clicks--fifo").is_empty());
        let publishes = of(Access::Write, &[]);
        assert!(publishes.iter().all(|it| it.purpose != copies));
        assert_eq!(granted_on(&publishes, BUS_TOPIC, "clicks"), BUS_SENDER);
        assert_eq!(granted_on(&publishes, BUS_TOPIC, "clicks--fifo"), BUS_SENDER);
    }

    #[test]
    fn triggers_have_roles_on_their_queues() {
        let found = of(Access::None, &[]);
        let on = |service: &str, name: &str| granted_on(&found, service, name);
        assert_eq!(on("Service Bus subscription", "clicks"), BUS_RECEIVE.grants);
        assert_eq!(on("Service Bus queue", "clicks--dead"), BUS_SENDER);
        for queue in ["0events-pages", "0writes-links"] {
            assert_eq!(on(QUEUE, queue), [QUEUE_RECEIVE.grants, QUEUE_SENDER].concat(), "{queue}");
            assert_eq!(on(QUEUE, &format!("{queue}-poison")), QUEUE_SENDER, "{queue}");
        }
        assert_eq!(on(COSMOS, LEASES), COSMOS_CONTRIBUTOR);
        assert_eq!(on("storage account of Functions", "AzureWebJobsStorage"), FUNCTIONS.grants);
    }

    #[test]
    fn a_url_selects_the_cheaper_service() {
        let mut manifest = declared(Access::Read);
        manifest.triggers.retain(|trigger| !matches!(trigger, isobar_abstraction::manifest::Trigger::Write(_)));
        let urls = [
            ("ISOBAR_TABLE_LINKS", "aztable://links"),
            ("ISOBAR_TOPIC_CLICKS", "azqueue://clicks"),
            ("ISOBAR_SECRETS", "keyvault://vault"),
            ("ISOBAR_PREFIX", "dev-"),
        ];
        let found = permissions(&manifest, &config(&urls)).unwrap();
        assert_eq!(granted_on(&found, STORAGE_TABLE, "links"), ["Storage Table Data Reader"]);
        assert_eq!(granted_on(&found, QUEUE, "clicks"), [QUEUE_RECEIVE.grants, QUEUE_SENDER].concat());
        assert_eq!(granted_on(&found, "Key Vault secret", "dev-api-token"), ["Key Vault Secrets User"]);
        assert!(found.iter().all(|it| it.on.service != COSMOS && !it.purpose.contains("cache")));
    }
}
