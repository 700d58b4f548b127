//! Detects the service that sent an event by the event's shape, since no field contains it.

use std::borrow::Cow;

use isobar_abstraction::driver::host::{Fields, excerpt};

use super::Incoming;

/// The kind of an event by its shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An HTTP request.
    Http(Gateway),
    /// Records of an SQS queue.
    Queue,
    /// Records of an SNS topic without a queue.
    Topic,
    /// An object event of S3, or of EventBridge for S3.
    Bucket,
    /// Records of a DynamoDB stream.
    Stream,
    /// The test event that S3 sends when a notification is configured.
    BucketTest,
    /// A rule of EventBridge, or a schedule of EventBridge Scheduler without isobar's envelope as input.
    Schedule,
    /// A direct call with isobar's envelope.
    Direct,
    /// A ping that keeps the function warm.
    WarmUp,
    /// An event of a service without a trigger in isobar.
    Foreign(Cow<'static, str>),
    /// Any other JSON.
    Unknown,
}

/// The gateway between an HTTP client and the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gateway {
    /// A REST API of API Gateway, or an HTTP API whose payload format is 1.0.
    Rest,
    /// An HTTP API of API Gateway, payload format 2.0.
    HttpApi,
    /// A Function URL.
    FunctionUrl,
    /// An Application Load Balancer.
    LoadBalancer,
}

impl Incoming<'_> {
    /// The kind of the event. Fields that are `null` count as absent: some clients send all fields in every
    /// event.
    pub(crate) fn shape(&self) -> Shape {
        let (fields, context) = (&self.fields, &self.context);
        if fields.has("isobar") {
            return Shape::Direct;
        }
        if let Some(service) = authorizer(fields) {
            return Shape::Foreign(Cow::Borrowed(service));
        }
        if context.has("elb") {
            return Shape::Http(Gateway::LoadBalancer);
        }
        if context.has("connectionId") {
            return Shape::Foreign(Cow::Borrowed("a WebSocket message of API Gateway"));
        }
        if context.has("http") && fields.text("version").as_deref() == Some("2.0") {
            return Shape::Http(gateway_of_format_2(context));
        }
        if fields.has("httpMethod") && fields.has("resource") && fields.has("requestContext") {
            return Shape::Http(Gateway::Rest);
        }
        records(fields).or_else(|| bridged(fields)).or_else(|| foreign(self)).unwrap_or(Shape::Unknown)
    }

    /// The names of the event's fields for an error, limited in number and length.
    pub(crate) fn names(&self) -> String {
        const MOST: usize = 12;
        let names = self.fields.names().take(MOST);
        let names: Vec<String> = names.map(|name| format!("`{}`", excerpt(name))).collect();
        let more = if self.fields.names().count() > MOST { ", …" } else { "" };
        match names.is_empty() {
            true => "no fields".to_owned(),
            false => format!("the fields {}{more}", names.join(", ")),
        }
    }
}

fn authorizer(fields: &Fields<'_>) -> Option<&'static str> {
    let kind = fields.text("type");
    let request = kind.as_deref() == Some("REQUEST");
    let is_rest = fields.has("methodArn") && (request || kind.as_deref() == Some("TOKEN"));
    (is_rest || (fields.has("routeArn") && request)).then_some("a request to an authorizer of API Gateway")
}

/// An event with `Records`, by the service in the first of them.
fn records(fields: &Fields<'_>) -> Option<Shape> {
    if fields.text("Event").as_deref() == Some("s3:TestEvent") {
        return Some(Shape::BucketTest);
    }
    let records = fields.array("Records")?;
    let Some(record) = records.first() else { return Some(Shape::Foreign(Cow::Borrowed("an event without records"))) };
    let record = Fields::of(record)?;
    let source = record.text("eventSource").or_else(|| record.text("EventSource"));
    let service = match source.as_deref() {
        Some("aws:sqs") => return Some(Shape::Queue),
        Some("aws:sns") => return Some(Shape::Topic),
        Some("aws:s3") => return Some(Shape::Bucket),
        Some("aws:dynamodb") => return Some(Shape::Stream),
        Some("aws:kinesis") => "records of a Kinesis stream",
        Some("aws:ses") => "a mail of SES",
        Some("aws:codecommit") => "an event of CodeCommit",
        _ if record.has("cf") => "a request of CloudFront",
        _ => return None,
    };
    Some(Shape::Foreign(Cow::Borrowed(service)))
}

/// An event of EventBridge by its `source`.
fn bridged(fields: &Fields<'_>) -> Option<Shape> {
    let (source, kind) = (fields.text("source")?, fields.text("detail-type")?);
    Some(match (source.as_ref(), kind.as_ref()) {
        ("aws.events" | "aws.scheduler", "Scheduled Event") => Shape::Schedule,
        ("aws.s3", "Object Created" | "Object Deleted") => Shape::Bucket,
        // The names of AWS's services are public; other names may be secret.
        (source, _) if source.starts_with("aws.") => {
            Shape::Foreign(Cow::Owned(format!("an EventBridge event of `{}`", excerpt(source))))
        }
        _ => Shape::Foreign(Cow::Borrowed("an EventBridge event of a custom source")),
    })
}

fn foreign(event: &Incoming<'_>) -> Option<Shape> {
    let fields = &event.fields;
    let is = |name: &str, value: &str| fields.text(name).as_deref() == Some(value);
    // The default events of `serverless-plugin-warmup`, `lambda-warmer` and OpenNext.
    if is("source", "serverless-plugin-warmup")
        || fields.flag("warmer")
        || (is("type", "warmer") && fields.has("warmerId"))
    {
        return Some(Shape::WarmUp);
    }
    let has = |names: &[&str]| names.iter().all(|name| fields.has(name));
    let service = match fields.text("eventSource").as_deref() {
        Some("aws:kafka" | "SelfManagedKafka") => "records of Kafka",
        Some("aws:mq") => "messages of ActiveMQ",
        Some("aws:rmq") => "messages of RabbitMQ",
        Some("aws:docdb") => "a change stream of DocumentDB",
        _ if has(&["awslogs"]) => "a batch of CloudWatch Logs",
        _ if has(&["triggerSource", "userPoolId"]) => "a trigger of a Cognito user pool",
        _ if has(&["deliveryStreamArn"]) => "records of Firehose",
        _ if has(&["RequestType", "ResponseURL"]) => "a custom resource of CloudFormation",
        _ if has(&["Step", "SecretId"]) => "a rotation of Secrets Manager",
        _ if has(&["alarmArn", "alarmData"]) => "an alarm of CloudWatch",
        _ if has(&["CodePipeline.job"]) => "a job of CodePipeline",
        _ if has(&["bot", "sessionState"]) || has(&["bot", "currentIntent"]) => "a turn of a Lex bot",
        _ if has(&["invokingEvent", "configRuleName"]) => "an evaluation of AWS Config",
        _ if has(&["protocols", "protocolData"]) => "a request to an authorizer of IoT Core",
        _ if has(&["invocationSchemaVersion", "tasks"]) => "a task of S3 Batch Operations",
        _ if has(&["getObjectContext", "userRequest"]) => "a request of S3 Object Lambda",
        _ if has(&["session", "request", "context"]) => "a request of an Alexa skill",
        _ if has(&["info", "arguments"]) => "a field of an AppSync API",
        _ if has(&["Details", "Name"]) => "a contact flow of Amazon Connect",
        _ if has(&["messageVersion", "agent", "actionGroup"]) => "an action of a Bedrock agent",
        _ if event.context.has("functionArn") && has(&["requestPayload"]) => "the result of another function",
        _ if is_lattice(event) => "a request of VPC Lattice",
        _ => return None,
    };
    Some(Shape::Foreign(Cow::Borrowed(service)))
}

/// Whether it is a request of VPC Lattice in one of its two formats.
fn is_lattice(event: &Incoming<'_>) -> bool {
    let has = |name| event.fields.has(name);
    event.context.has("serviceNetworkArn") || ["raw_path", "method", "is_base64_encoded"].into_iter().all(has)
}

/// The sender of an event of payload format 2.0.
fn gateway_of_format_2(context: &Fields<'_>) -> Gateway {
    let url = context.text("domainName").is_some_and(|domain| domain.contains(".lambda-url."));
    if url { Gateway::FunctionUrl } else { Gateway::HttpApi }
}
