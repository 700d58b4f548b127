"""Deploys an isobar app into an emulated AWS account, for the end-to-end trials.

Reads JSON from standard input: {"manifest": ..., "schedules": {name: expression}, "bootstrap": path,
"prefix": ..., "endpoint": ..., "environment": {...}}.
Makes the resources that the manifest declares, under the names that `adapters/aws/src/config.rs` documents, and prints
the function's ARN and the API's id.
"""

import io
import json
import sys
import zipfile

import boto3
from botocore.config import Config

REGION = "us-east-1"
# Long enough that no batch is delivered again while it is handled, short enough for a trial.
VISIBILITY = 60
# 14 days, the maximum. A message keeps its age over all attempts, and SQS deletes it after this time without a dead
# letter: after the default of 4 days, attempts could still be left.
RETENTION = 1_209_600


class Account:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.number = self.client("sts").get_caller_identity()["Account"]

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
        )


class Deployment:
    def __init__(self, request):
        self.request, self.manifest, self.prefix = request, request["manifest"], request["prefix"]
        self.account = Account(request["endpoint"])
        self.queues, self.streams = [], []

    def resources(self, kind):
        return [resource["name"] for resource in self.manifest["resources"] if resource["kind"] == kind]

    def triggers(self, kind):
        return [trigger for trigger in self.manifest["triggers"] if trigger["kind"] == kind]

    def run(self):
        tables, buckets, topics = map(self.resources, ("table", "bucket", "topic"))
        for name in tables:
            self.table(self.prefix + name)
        for name in buckets:
            self.account.client("s3").create_bucket(Bucket=self.prefix + name)
        for name in topics:
            self.topic(self.prefix + name)
        for trigger in self.triggers("message"):
            self.subscription(self.prefix + trigger["topic"], trigger["subscription"])
        for bucket in {trigger["bucket"] for trigger in self.triggers("object")}:
            names = [trigger["name"] for trigger in self.triggers("object") if trigger["bucket"] == bucket]
            self.bucket_events(self.prefix + bucket, names)
        for trigger in self.triggers("write"):
            self.writes(self.prefix + trigger["table"])
        function = self.function()
        self.listen(function)
        if self.triggers("schedule"):
            # One role for all: with the name of a schedule in it, its name could exceed IAM's 64 characters.
            role = self.role(f"{self.prefix}schedules", "scheduler.amazonaws.com")
            for schedule in self.triggers("schedule"):
                self.schedule(schedule, function, role)
        return {"function": function, "api": self.http_api(function) if self.triggers("http") else None}

    def table(self, name):
        self.account.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        self.account.client("dynamodb").update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
        )

    def queue(self, name, service=None, source=None, fifo=False):
        """A queue with its queue of dead letters. A service sends messages to it from a source, or the app itself does."""
        suffix, kind = (".fifo", {"FifoQueue": "true"}) if fifo else ("", {})
        sqs = self.account.client("sqs")
        arn = lambda queue: f"arn:aws:sqs:{REGION}:{self.account.number}:{queue}"
        retention = {**kind, "MessageRetentionPeriod": str(RETENTION)}
        sqs.create_queue(QueueName=f"{name}--dead{suffix}", Attributes=retention)
        # The app itself moves messages to the dead letters, with a reason. This limit is for messages that kill the
        # function each time.
        backstop = json.dumps({"deadLetterTargetArn": arn(f"{name}--dead{suffix}"), "maxReceiveCount": 100})
        attributes = {**retention, "VisibilityTimeout": str(VISIBILITY), "RedrivePolicy": backstop}
        if service:
            attributes["Policy"] = self.policy(service, "sqs:SendMessage", arn(name + suffix), source)
        sqs.create_queue(QueueName=name + suffix, Attributes=attributes)
        self.queues.append((arn(name + suffix), fifo))
        return arn(name + suffix)

    def topic(self, name):
        """A topic, and one for messages with ordering keys."""
        for end, attributes in ("", {}), (".fifo", {"FifoTopic": "true"}):
            self.account.client("sns").create_topic(Name=name + end, Attributes=attributes)

    def subscription(self, topic, name):
        for fifo in (False, True):
            source = self.topic_arn(topic + (".fifo" if fifo else ""))
            self.subscribe(source, self.queue(named(topic, name), "sns.amazonaws.com", source, fifo))

    def subscribe(self, topic, queue):
        self.account.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"}
        )

    def topic_arn(self, name):
        return f"arn:aws:sns:{REGION}:{self.account.number}:{name}"

    def bucket_events(self, bucket, names):
        """S3 notifies the only queue of a bucket, or a topic that has a queue for each trigger."""
        events, source = f"{bucket}--events", f"arn:aws:s3:::{bucket}"
        to = {"Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        if names == ["default"]:
            to["QueueArn"] = self.queue(events, "s3.amazonaws.com", source)
            notifications = {"QueueConfigurations": [to]}
        else:
            to["TopicArn"] = topic = self.topic_arn(events)
            notifications = {"TopicConfigurations": [to]}
            policy = self.policy("s3.amazonaws.com", "sns:Publish", topic, source)
            self.account.client("sns").create_topic(Name=events, Attributes={"Policy": policy})
            for name in names:
                self.subscribe(topic, self.queue(named(events, name), "sns.amazonaws.com", topic))
        self.account.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=notifications
        )

    def writes(self, table):
        """The stream of a table, and the queue in which the app stores its keys."""
        made = self.account.client("dynamodb").update_table(
            TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        )
        self.streams.append(made["TableDescription"]["LatestStreamArn"])
        self.queue(f"{table}--writes")

    def policy(self, service, action, resource, source):
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": action,
            "Resource": resource,
            "Condition": {"ArnEquals": {"aws:SourceArn": source}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})

    def role(self, name, service):
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        return self.account.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]

    def function(self):
        name = self.prefix + self.manifest["app"]
        variables = {
            "ISOBAR_PREFIX": self.prefix,
            "AWS_ENDPOINT_URL": self.request["endpoint"],
            **self.request["environment"],
        }
        made = self.account.client("lambda").create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=self.role(name, "lambda.amazonaws.com"),
            Code={"ZipFile": package(self.request["bootstrap"])},
            Timeout=30,
            Environment={"Variables": variables},
        )
        # A failed run of a schedule is not retried: neither by the scheduler nor by Lambda.
        self.account.client("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        return made["FunctionArn"]

    def listen(self, function):
        for queue, fifo in self.queues:
            self.account.client("lambda").create_event_source_mapping(
                EventSourceArn=queue,
                FunctionName=function,
                # One message of a FIFO queue at a time: a failing one would cost later messages an attempt.
                BatchSize=1 if fifo else 10,
                FunctionResponseTypes=["ReportBatchItemFailures"],
            )

        for stream in self.streams:
            self.account.client("lambda").create_event_source_mapping(
                EventSourceArn=stream,
                FunctionName=function,
                StartingPosition="TRIM_HORIZON",
                BatchSize=100,
                FunctionResponseTypes=["ReportBatchItemFailures"],
            )

    def schedule(self, schedule, function, role):
        due = "<aws.scheduler.scheduled-time>"
        self.account.client("scheduler").create_schedule(
            Name=self.prefix + schedule["name"],
            ScheduleExpression=self.request["schedules"][schedule["name"]],
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": function,
                "RoleArn": role,
                "Input": json.dumps({"isobar": "schedule", "schedule": schedule["name"], "due": due}),
                "RetryPolicy": {"MaximumRetryAttempts": 0},
            },
        )

    def http_api(self, function):
        gateway = self.account.client("apigatewayv2")
        api = gateway.create_api(Name=self.prefix + self.manifest["app"], ProtocolType="HTTP")["ApiId"]
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
        )
        target = f"integrations/{integration['IntegrationId']}"
        gateway.create_route(ApiId=api, RouteKey="$default", Target=target)
        gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        self.account.client("lambda").add_permission(
            FunctionName=function,
            StatementId="http-api",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:{REGION}:{self.account.number}:{api}/*/*",
        )
        return api


def named(default, name):
    """The name of a queue, from that of the queue `default` of the same source."""
    return default if name == "default" else f"{default}--{name}"


def package(binary):
    """A deployment package: the binary as `bootstrap`, executable."""
    file = zipfile.ZipInfo("bootstrap")
    file.external_attr = 0o100755 << 16
    file.compress_type = zipfile.ZIP_DEFLATED
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, open(binary, "rb") as code:
        archive.writestr(file, code.read(), compresslevel=1)
    return packed.getvalue()


json.dump(Deployment(json.load(sys.stdin)).run(), sys.stdout)
