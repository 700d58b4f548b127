"""Makes and deletes the throw-away resources of trials in an account of a cloud, with the libraries of the cloud.

    account.py "\"aws\""

Accounts and credentials are those of the environment, as isobar reads them. Each line of standard input is a call,
{"operation": "make", "input": {"kind": "table", "name": "…"}} or {"operation": "delete", "input": {"prefix": "…"}};
each line of standard output is its answer: {}, {"deleted": N}, or {"error": text}.
"""

import functools
import json
import os
import sys


class Aws:
    """Tables of DynamoDB, buckets of S3, topics of SNS."""

    def __init__(self):
        import boto3

        self.region = os.environ["AWS_REGION"]
        self.dynamodb, self.s3, self.sns = (
            boto3.client(service, region_name=self.region) for service in ("dynamodb", "s3", "sns")
        )

    def make_table(self, name):
        self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        self.dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    def make_bucket(self, name):
        # The first region has no constraint.
        place = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        self.s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": place} if place else {}))

    def make_topic(self, name):
        self.sns.create_topic(Name=name)
        self.sns.create_topic(Name=f"{name}.fifo", Attributes={"FifoTopic": "true"})

    def pages(self, client, operation, result, **request):
        for page in client.get_paginator(operation).paginate(**request):
            yield from page.get(result, [])

    def delete(self, prefix):
        tables = [name for name in self.pages(self.dynamodb, "list_tables", "TableNames") if name.startswith(prefix)]
        for name in tables:
            self.dynamodb.delete_table(TableName=name)
        buckets = [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"] if bucket["Name"].startswith(prefix)]
        for name in buckets:
            for item in list(self.pages(self.s3, "list_objects_v2", "Contents", Bucket=name)):
                self.s3.delete_object(Bucket=name, Key=item["Key"])
            for upload in list(self.pages(self.s3, "list_multipart_uploads", "Uploads", Bucket=name)):
                self.s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
            self.s3.delete_bucket(Bucket=name)
        topics = [topic["TopicArn"] for topic in self.pages(self.sns, "list_topics", "Topics")]
        topics = [arn for arn in topics if arn.rsplit(":", 1)[1].startswith(prefix)]
        for arn in topics:
            self.sns.delete_topic(TopicArn=arn)
        return len(tables) + len(buckets) + len(topics)


class Azure:
    """Containers of Cosmos DB, or tables where there is no account of it; containers of blobs; queues."""

    def __init__(self):
        from azure.data.tables import TableServiceClient
        from azure.storage.blob import BlobServiceClient
        from azure.storage.queue import QueueServiceClient

        storage = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
        self.blobs = BlobServiceClient.from_connection_string(storage)
        self.tables = TableServiceClient.from_connection_string(storage)
        self.queues = QueueServiceClient.from_connection_string(storage)
        self.cosmos = None
        if "AZURE_COSMOS_CONNECTION_STRING" in os.environ:
            from azure.cosmos import CosmosClient

            account = CosmosClient.from_connection_string(os.environ["AZURE_COSMOS_CONNECTION_STRING"])
            self.cosmos = account.create_database_if_not_exists(os.environ.get("AZURE_COSMOS_DATABASE", "isobar"))

    def make_table(self, name):
        if self.cosmos is None:
            self.tables.create_table(name)
            return
        from azure.cosmos import PartitionKey

        # -1 lets an item have a time to live; an item without one does not expire.
        self.cosmos.create_container(name, partition_key=PartitionKey("/p"), default_ttl=-1)

    def make_bucket(self, name):
        self.blobs.create_container(name)

    def make_topic(self, name):
        self.queues.create_queue(name)

    def delete(self, prefix):
        deleted = 0
        # The name of a table has letters and digits only.
        escaped = prefix.replace("q", "q0").replace("-", "q1")
        for client, listed, delete, start in (
            (self.blobs, "list_containers", "delete_container", prefix),
            (self.queues, "list_queues", "delete_queue", prefix),
            (self.tables, "list_tables", "delete_table", escaped),
        ):
            for name in [item.name for item in getattr(client, listed)() if item.name.startswith(start)]:
                getattr(client, delete)(name)
                deleted += 1
        if self.cosmos is not None:
            for name in [item["id"] for item in self.cosmos.list_containers() if item["id"].startswith(prefix)]:
                self.cosmos.delete_container(name)
                deleted += 1
        return deleted


class Gcp:
    """Buckets of Cloud Storage and topics of Pub/Sub; a collection of Firestore exists while it has documents."""

    def __init__(self):
        from google.cloud import firestore, pubsub_v1, storage

        self.project = os.environ["GOOGLE_CLOUD_PROJECT"]
        # An emulator accepts any caller, and the library would look for credentials.
        anonymous = {}
        if "STORAGE_EMULATOR_HOST" in os.environ:
            from google.auth.credentials import AnonymousCredentials

            anonymous = {"credentials": AnonymousCredentials()}
        self.storage = storage.Client(project=self.project, **anonymous)
        self.firestore = firestore.Client(project=self.project)
        self.publisher = pubsub_v1.PublisherClient()

    def make_table(self, name):
        pass

    def make_bucket(self, name):
        self.storage.create_bucket(name, location=os.environ.get("ISOBAR_ACCOUNT_LOCATION"))

    def make_topic(self, name):
        self.publisher.create_topic(name=f"projects/{self.project}/topics/{name}")

    def delete(self, prefix):
        deleted = 0
        for collection in [it for it in self.firestore.collections() if it.id.startswith(prefix)]:
            self.firestore.recursive_delete(collection)
            deleted += 1
        for bucket in [it for it in self.storage.list_buckets() if it.name.startswith(prefix)]:
            for blob in bucket.list_blobs():
                blob.delete()
            bucket.delete()
            deleted += 1
        for topic in self.publisher.list_topics(project=f"projects/{self.project}"):
            if topic.name.rsplit("/", 1)[1].startswith(prefix):
                self.publisher.delete_topic(topic=topic.name)
                deleted += 1
        return deleted


CLOUDS = {"aws": Aws, "azure": Azure, "gcp": Gcp}


@functools.cache
def account():
    return CLOUDS[json.loads(sys.argv[1])]()


def answer(call):
    request = call["input"]
    try:
        if call["operation"] == "delete":
            return {"deleted": account().delete(request["prefix"])}
        getattr(account(), f"make_{request['kind']}")(request["name"])
        return {}
    except KeyError as name:
        return {"error": f"the variable {name} is not set"}
    except Exception as error:  # each library has its own
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
