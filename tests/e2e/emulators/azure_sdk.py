"""Calls Azure's services with Azure's own libraries, for trials in which they read the data of isobar, and isobar reads
theirs.

    azure_sdk.py SETTINGS

SETTINGS is JSON: the endpoints `blob`, `queue`, `table` and `cosmos`; `account` and `key`, `cosmos_key`; and for
HTTPS `ca`, a file. Without `key` it uses the managed identity of IDENTITY_ENDPOINT. Each line of standard input is
a call, {"operation": "blob.put", "input": {...}}; each line of standard output its answer, or {"error": text,
"status": number}. Bytes are {"bytes": base64}.
"""

import base64
import json
import sys
from urllib.parse import urlsplit

import requests
from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError
from azure.cosmos import CosmosClient, PartitionKey
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient, UpdateMode
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobClient, BlobServiceClient, ContentSettings
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

SETTINGS = json.loads(sys.argv[1])


def storage(make, service):
    key = SETTINGS.get("key")
    if not key:
        credential = ManagedIdentityCredential()
    elif service == "table":
        credential = AzureNamedKeyCredential(SETTINGS["account"], key)
    else:
        credential = key
    # No retries: a trial must fail when an emulator does not answer.
    options = {"retry_total": 0}
    if SETTINGS.get("ca"):
        options["connection_verify"] = SETTINGS["ca"]
    return make(f"{SETTINGS[service]}/{SETTINGS['account']}", credential=credential, **options)


def blob(call):
    return storage(BlobServiceClient, "blob").get_blob_client(call["container"], call["name"])


def put_blob(call):
    settings = ContentSettings(content_type=call.get("content_type"))
    options = {"overwrite": True, "content_settings": settings, "metadata": call.get("metadata")}
    if call.get("etag"):
        options.update(etag=call["etag"], match_condition=MatchConditions.IfNotModified)
    return {"etag": blob(call).upload_blob(call["body"], **options)["etag"]}


def get_blob(call):
    found = blob(call).download_blob()
    properties = found.properties
    return {
        "body": found.readall(),
        "content_type": properties.content_settings.content_type,
        "metadata": properties.metadata,
        "etag": properties.etag,
    }


def get_url(call):
    url = BlobClient.from_blob_url(call["url"], retry_total=0, connection_verify=SETTINGS.get("ca") or True)
    return {"body": url.download_blob().readall()}


def list_blobs(call):
    container = storage(BlobServiceClient, "blob").get_container_client(call["container"])
    return {"names": [found.name for found in container.list_blobs(name_starts_with=call.get("prefix"))]}


def queue(call):
    client = storage(QueueServiceClient, "queue").get_queue_client(call["queue"])
    client._message_encode_policy = TextBase64EncodePolicy()
    client._message_decode_policy = TextBase64DecodePolicy()
    return client


def receive(call):
    client = queue(call)
    # Base64, which is the default of Functions.
    messages = client.receive_messages(messages_per_page=32, visibility_timeout=call.get("hide", 30), max_messages=32)
    return {"messages": [{"content": it.content, "id": it.id, "attempt": it.dequeue_count} for it in messages]}


def table(call):
    return storage(TableServiceClient, "table").get_table_client(call["table"])


def put_entity(call):
    table(call).upsert_entity(call["entity"], mode=UpdateMode.REPLACE)


def get_entity(call):
    found = table(call).get_entity(call["partition"], call["row"])
    return {"entity": dict(found), "etag": found.metadata["etag"]}


def query_entities(call):
    found = table(call).query_entities(call["filter"], parameters=call.get("parameters"))
    return {"entities": [dict(it) for it in found]}


def container(call):
    client = CosmosClient(SETTINGS["cosmos"], SETTINGS["cosmos_key"])
    return client.get_database_client(call["database"]).get_container_client(call["container"])


def make_container(call):
    client = CosmosClient(SETTINGS["cosmos"], SETTINGS["cosmos_key"])
    database = client.create_database_if_not_exists(call["database"])
    key = PartitionKey(path="/p")
    database.create_container_if_not_exists(
        call["container"], key, default_ttl=-1, offer_throughput=call.get("throughput")
    )


def query_items(call):
    found = container(call).query_items(
        call["query"],
        parameters=[{"name": name, "value": value} for name, value in call.get("parameters", {}).items()],
        partition_key=call.get("partition"),
        enable_cross_partition_query="partition" not in call,
    )
    return {"items": list(found)}


class VaultDouble(requests.adapters.HTTPAdapter):
    """Sends the requests for a vault to its double, without the TLS that the library requires."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def send(self, request, **options):
        parts = urlsplit(request.url)
        request.headers["Host"] = parts.netloc
        request.url = f"{self.url}{parts.path}?{parts.query}"
        return super().send(request, **options)


def vault(call):
    session = requests.Session()
    session.mount("https://", VaultDouble(call["vault"]))
    transport = RequestsTransport(session=session, session_owner=False)
    return SecretClient(
        "https://double.vault.azure.net", ManagedIdentityCredential(), transport=transport, retry_total=0
    )


def get_secret(call):
    found = vault(call).get_secret(call["name"], call.get("version"))
    return {"value": found.value, "version": found.properties.version}


def delete_secret(call):
    client = vault(call)
    client.begin_delete_secret(call["name"], _polling_interval=0.1).wait()
    if call.get("purge"):
        client.purge_deleted_secret(call["name"])


OPERATIONS = {
    "blob.make": lambda call: storage(BlobServiceClient, "blob").create_container(call["container"]) and None,
    "blob.put": put_blob,
    "blob.get": get_blob,
    "blob.get_url": get_url,
    "blob.list": list_blobs,
    "blob.delete": lambda call: blob(call).delete_blob(),
    "queue.make": lambda call: queue(call).create_queue() and None,
    "queue.send": lambda call: {"id": queue(call).send_message(call["content"]).id},
    "queue.receive": receive,
    "table.make": lambda call: storage(TableServiceClient, "table").create_table(call["table"]) and None,
    "table.put": put_entity,
    "table.get": get_entity,
    "table.query": query_entities,
    "secret.set": lambda call: {"version": vault(call).set_secret(call["name"], call["value"]).properties.version},
    "secret.get": get_secret,
    "secret.enable": lambda call: vault(call).update_secret_properties(call["name"], enabled=call["enabled"]) and None,
    "secret.delete": delete_secret,
    "cosmos.make": make_container,
    "cosmos.put": lambda call: {"item": dict(container(call).upsert_item(call["item"]))},
    "cosmos.get": lambda call: {"item": dict(container(call).read_item(call["id"], call["partition"]))},
    "cosmos.query": query_items,
}


def read(value):
    if isinstance(value, dict):
        if set(value) == {"bytes"}:
            return base64.b64decode(value["bytes"])
        return {name: read(part) for name, part in value.items()}
    return [read(part) for part in value] if isinstance(value, list) else value


def write(value):
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: write(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [write(part) for part in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def answer(call):
    try:
        return write(OPERATIONS[call["operation"]](read(call["input"]))) or {}
    except AzureError as error:
        return {"error": f"{type(error).__name__}: {error}", "status": getattr(error, "status_code", None)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
