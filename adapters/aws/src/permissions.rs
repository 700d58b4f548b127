//! The permissions that an app needs on AWS: the actions of IAM, by resource.

use isobar_abstraction::driver::{Access, Derived, Permission, PermissionRow, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{EventQueue, Result};

use crate::AwsConfig;
use crate::pub_sub::FIFO;

const APP: &str = "the app";
const READ: &[Access] = &[Access::Read, Access::ReadWrite];
const WRITE: &[Access] = &[Access::Write, Access::ReadWrite];
const COPY: &[Access] = &[Access::ReadWrite];
const ANY: &[Access] = &[Access::Read, Access::Write, Access::ReadWrite];

const LOGS: PermissionRow =
    PermissionRow::new(APP, "its logs", "", &["logs:CreateLogStream", "logs:PutLogEvents"], "log group")
        .note("also `logs:CreateLogGroup`, if you do not create the group");

const TABLE_READ: PermissionRow = PermissionRow::new(
    APP,
    "a table",
    "to read",
    &["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"],
    "DynamoDB table",
)
.of(&[ResourceKind::Table], READ)
.sends(&[&["GetItem", "BatchGetItem", "Query", "Scan"]]);

const TABLE_WRITE: PermissionRow = PermissionRow::new(
    APP,
    "a table",
    "to write",
    &["dynamodb:PutItem", "dynamodb:BatchWriteItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
    "DynamoDB table",
)
.of(&[ResourceKind::Table], WRITE)
.sends(&[&["PutItem", "BatchWriteItem", "UpdateItem", "DeleteItem", "TransactWriteItems"]])
.note("a transaction is authorized as its writes");

const BUCKET_READ: PermissionRow = PermissionRow::new(APP, "a bucket", "to read", &["s3:GetObject"], "S3 objects")
    .of(&[ResourceKind::Bucket], READ)
    .sends(&[&["GetObject", "HeadObject"]]);

const BUCKET_LIST: PermissionRow = PermissionRow::new(APP, "a bucket", "to list", &["s3:ListBucket"], "S3 bucket")
    .of(&[ResourceKind::Bucket], READ)
    .sends(&[&["ListObjectsV2"]])
    .note("without it a missing object is `PermissionDenied`, not `NotFound`");

const BUCKET_WRITE: PermissionRow = PermissionRow::new(
    APP,
    "a bucket",
    "to write",
    &["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
    "S3 objects",
)
.of(&[ResourceKind::Bucket], WRITE)
.sends(&[&[
    "PutObject",
    "DeleteObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
]])
.note(
    "S3 may require `s3:GetObject` too for a write on the condition of a version, as it does for such a delete: an app \
     that does so must also read the bucket",
);

const BUCKET_COPY: PermissionRow = PermissionRow::new(
    APP,
    "a bucket",
    "to copy objects that have tags",
    &["s3:GetObjectTagging", "s3:PutObjectTagging"],
    "S3 objects",
)
.of(&[ResourceKind::Bucket], COPY)
.sends(&[&["CopyObject", "UploadPartCopy", "GetObjectTagging"]])
.note(
    "without `s3:GetObjectTagging` a copy of at most 512 MiB is `PermissionDenied`; a larger one is made in parts, and S3 \
     hides from it that there are tags: they are not copied",
);

const TOPIC: PermissionRow = PermissionRow::new(APP, "a topic", "to publish", &["sns:Publish"], "SNS topic")
    .of(&[ResourceKind::Topic], WRITE)
    .sends(&[&["PublishBatch"]])
    .note("on `clicks`, and on `clicks.fifo` for messages with an ordering key");

const QUEUE: PermissionRow = PermissionRow::new(
    APP,
    "a trigger with a queue",
    "to receive",
    &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"],
    "SQS queue",
)
.sends(&[&["ChangeMessageVisibilityBatch"]])
.note("Lambda polls the queue with the role of the function");

const DEAD_LETTERS: PermissionRow =
    PermissionRow::new(APP, "a trigger with a queue", "to send dead letters", &["sqs:SendMessage"], "SQS queue")
        .sends(&[&["SendMessage"]])
        .note("on its `--dead` queue");

const STREAM: PermissionRow = PermissionRow::new(
    APP,
    "writes of a table",
    "to read the stream",
    &["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"],
    "stream of the table",
)
.note("Lambda polls the stream with the role of the function");

const WRITES: PermissionRow =
    PermissionRow::new(APP, "writes of a table", "to send their keys", &["sqs:SendMessage"], "SQS queue")
        .sends(&[&["SendMessageBatch"]])
        .note("on its `--writes` queue");

const PARAMETER: PermissionRow =
    PermissionRow::new(APP, "a secret or a configuration", "", &["ssm:GetParameter"], "Parameter Store parameter")
        .of(&ResourceKind::VALUES, ANY)
        .sends(&[&["GetParameter"]])
        .note("also `kms:Decrypt` on a KMS key of your own; the key `aws/ssm` needs nothing");

const SECRET: PermissionRow = PermissionRow::new(
    APP,
    "a secret or a configuration, with `ISOBAR_SECRETS=secretsmanager://`",
    "",
    &["secretsmanager:GetSecretValue"],
    "Secrets Manager secret",
)
.of(&ResourceKind::VALUES, ANY)
.sends(&[&["GetSecretValue"]])
.note("also `kms:Decrypt` on a KMS key of your own; the key `aws/secretsmanager` needs nothing");

const SCHEDULE: PermissionRow =
    PermissionRow::new("the scheduler", "a schedule", "", &["lambda:InvokeFunction"], "Lambda function")
        .note("a role of its own, which trusts `scheduler.amazonaws.com`, with `aws:SourceAccount` as a condition");

/// The rows behind [`permissions`], in the order of the documentation.
pub const PERMISSION_ROWS: &[PermissionRow] = &[
    LOGS,
    TABLE_READ,
    TABLE_WRITE,
    BUCKET_READ,
    BUCKET_LIST,
    BUCKET_WRITE,
    BUCKET_COPY,
    TOPIC,
    QUEUE,
    DEAD_LETTERS,
    STREAM,
    WRITES,
    PARAMETER,
    SECRET,
    SCHEDULE,
];

/// What a deployment of the app must allow on AWS: first the logs, then the resources and the triggers, each in the order of
/// the manifest. Policies of resources, for SNS and S3, are not part of it. It makes no call. Errors: `Config`.
///
/// The name of `S3 objects` is that of their bucket, and the name of a `stream of the table` is that of the table. The name of
/// the function is that of the stage or of the app, unless the deployment has another one.
pub fn permissions(manifest: &Manifest, config: &AwsConfig) -> Result<Vec<Permission>> {
    let prefix = config.prefix.get()?;
    let function = if prefix.is_empty() { &*manifest.app } else { prefix.trim_end_matches('-') };
    let mut found = vec![LOGS.permission(LOGS.subject, format!("/aws/lambda/{function}"))];
    for kind in ResourceKind::OWN {
        for resource in manifest.of_kind(kind) {
            let placed = config.place(&config.location(kind, &resource.name))?;
            let ends: &[&str] = if kind == ResourceKind::Topic { &["", FIFO] } else { &[""] };
            for row in PERMISSION_ROWS.iter().filter(|row| row.is_for(kind, resource.access)) {
                let subject = format!("{kind} `{}`", resource.name);
                found.extend(ends.iter().map(|end| row.permission(&subject, format!("{}{end}", placed.name))));
            }
        }
    }
    let store = match config.secrets.as_ref().map(|url| url.scheme()) {
        None | Some("ssm") => Some(PARAMETER),
        Some("secretsmanager") => Some(SECRET),
        _ => None,
    };
    found.extend(store.iter().flat_map(|row| row.of_values(manifest, &prefix)));
    for (queue, _) in manifest.queues() {
        found.extend(of_queue(&queue, config)?);
    }
    for schedule in manifest.schedules() {
        found.push(SCHEDULE.permission(&format!("schedule `{}`", schedule.name), function));
    }
    Ok(found)
}

fn of_queue(queue: &EventQueue, config: &AwsConfig) -> Result<Vec<Permission>> {
    let placed = config.place(&config.location(queue.kind(), queue.source()))?;
    let (subject, name) = (queue.to_string(), queue.physical(&placed.queue));
    let dead = Derived::DeadLetters.of(&name);
    let ends: &[&str] = if queue.kind() == ResourceKind::Topic { &["", FIFO] } else { &[""] };
    let mut found = Vec::new();
    if queue.kind() == ResourceKind::Table {
        found.extend([STREAM.permission(&subject, placed.name), WRITES.permission(&subject, &name)]);
    }
    for end in ends {
        found.push(QUEUE.permission(&subject, format!("{name}{end}")));
        found.push(DEAD_LETTERS.permission(&subject, format!("{dead}{end}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::driver::{Environment, Place};
    use isobar_testkit::{declared, granted_on};

    use super::*;

    fn of(access: Access, vars: &[(&str, &str)]) -> Vec<Permission> {
        let environment = vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
        permissions(&declared(access), &AwsConfig::from_environment(&environment).unwrap()).unwrap()
    }

    #[test]
    fn access_to_a_resource_gives_its_actions_only() {
        let table = |access| granted_on(&of(access, &[]), "DynamoDB table", "links");
        assert_eq!(table(Access::Read), TABLE_READ.grants);
        assert_eq!(table(Access::Write), TABLE_WRITE.grants);
        assert_eq!(table(Access::ReadWrite), [TABLE_READ.grants, TABLE_WRITE.grants].concat());
        assert!(table(Access::None).is_empty());
        let objects = |access| granted_on(&of(access, &[]), "S3 objects", "pages");
        assert_eq!(objects(Access::Read), ["s3:GetObject"]);
        assert_eq!(objects(Access::Write), BUCKET_WRITE.grants);
        assert_eq!(granted_on(&of(Access::Read, &[]), "S3 bucket", "pages"), ["s3:ListBucket"]);
        assert!(granted_on(&of(Access::Write, &[]), "S3 bucket", "pages").is_empty());
        assert_eq!(granted_on(&of(Access::Write, &[]), "SNS topic", "clicks.fifo"), ["sns:Publish"]);
        assert!(granted_on(&of(Access::Read, &[]), "SNS topic", "clicks").is_empty());
    }

    #[test]
    fn triggers_receive_from_their_queue_and_send_to_its_dead_letters() {
        let found = of(Access::None, &[]);
        let on = |service: &str, name: &str| granted_on(&found, service, name);
        for queue in ["clicks", "clicks.fifo", "pages--events"] {
            assert_eq!(on("SQS queue", queue), QUEUE.grants, "{queue}");
        }
        for dead in ["clicks--dead", "clicks--dead.fifo", "pages--events--dead", "links--writes--dead"] {
            assert_eq!(on("SQS queue", dead), ["sqs:SendMessage"], "{dead}");
        }
        assert_eq!(on("SQS queue", "links--writes"), [WRITES.grants, QUEUE.grants].concat());
        assert_eq!(on("stream of the table", "links"), STREAM.grants);
        let scheduler: Vec<_> = found.iter().filter(|it| it.holder != APP).collect();
        assert!(scheduler.len() == 1 && scheduler[0].on == Place::new("Lambda function", "shop"), "{scheduler:?}");
    }

    #[test]
    fn each_action_is_one_on_a_named_resource() {
        let found = of(Access::ReadWrite, &[]);
        assert!(found.iter().all(|it| it.wider.is_none() && !it.on.name.is_empty()));
        assert!(found.iter().all(|it| !it.purpose.contains("cache")));
        let actions = PERMISSION_ROWS.iter().flat_map(|row| row.grants);
        for action in actions {
            assert!(
                action.split_once(':').is_some_and(|(_, action)| action.bytes().all(|it| it.is_ascii_alphabetic()))
            );
        }
    }

    #[test]
    fn configuration_places_what_is_granted() {
        let stage = ("ISOBAR_STAGE", "prod");
        let environment = Environment::default().with_var(stage.0, stage.1);
        environment.set_app("shop");
        let config = AwsConfig::from_environment(&environment).unwrap();
        let found = permissions(&declared(Access::Read), &config).unwrap();
        assert_eq!(granted_on(&found, "log group", "/aws/lambda/shop-prod"), LOGS.grants);
        assert_eq!(granted_on(&found, "Parameter Store parameter", "shop-prod-api-token"), ["ssm:GetParameter"]);
        let placed = of(
            Access::Read,
            &[("ISOBAR_TABLE_LINKS", "dynamodb://old?writes=work"), ("ISOBAR_SECRETS", "secretsmanager://")],
        );
        assert_eq!(granted_on(&placed, "DynamoDB table", "old"), TABLE_READ.grants);
        assert_eq!(granted_on(&placed, "SQS queue", "work--dead"), ["sqs:SendMessage"]);
        assert_eq!(granted_on(&placed, "Secrets Manager secret", "api-token"), ["secretsmanager:GetSecretValue"]);
        let elsewhere = of(Access::Read, &[("ISOBAR_SECRETS", "gsm://project")]);
        assert!(elsewhere.iter().all(|it| !it.purpose.contains("api-token")));
    }
}
