"""Calls Google Cloud's services with Google's own libraries, for trials in which they read the data of isobar, and isobar
reads theirs.

    google_sdk.py SETTINGS

SETTINGS is JSON: the URLs of the emulators `firestore`, `pubsub` and `storage`, and `key`, the content of the key file of a
service account. Each line of standard input is a call, {"operation": "object.put", "input": {...}}, which names its
`project`; each line of standard output its answer, or {"error": text, "status": number}. Bytes are {"bytes": base64},
and times {"time": RFC 3339}.
"""

import base64
import datetime
import json
import os
import sys
import time
import urllib.parse

SETTINGS = json.loads(sys.argv[1])
ACCOUNT = SETTINGS["key"]
for name in ("firestore", "pubsub"):
    os.environ[f"{name.upper()}_EMULATOR_HOST"] = urllib.parse.urlsplit(SETTINGS[name]).netloc
os.environ["STORAGE_EMULATOR_HOST"] = SETTINGS["storage"]

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.api_core.exceptions import GoogleAPIError
from google.auth import crypt, jwt
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, pubsub_v1, secretmanager, storage
from google.cloud.storage import _signing
from google.oauth2 import service_account

CLIENTS = {}


def client(kind, project):
    """The client of a project. Making one takes longer than a call."""
    make = {
        "firestore": lambda: firestore.Client(project=project),
        "storage": lambda: storage.Client(project=project, credentials=AnonymousCredentials()),
    }
    if (kind, project) not in CLIENTS:
        CLIENTS[kind, project] = make[kind]()
    return CLIENTS[kind, project]


def document(call):
    return client("firestore", call["project"]).document(call["path"])


def as_json(found):
    return {"path": found.reference.path, "fields": found.to_dict()}


def put_document(call):
    document(call).set(call["fields"])


def get_document(call):
    found = document(call).get()
    return as_json(found) if found.exists else {"path": None}


def list_documents(call):
    """The documents of all collections of this name, at any path."""
    group = client("firestore", call["project"]).collection_group(call["collection"])
    return {"documents": [as_json(found) for found in group.stream()]}


def query_documents(call):
    """The documents of one collection, by a field in descending order."""
    found = client("firestore", call["project"]).collection(call["path"])
    found = found.order_by(call["by"], direction=firestore.Query.DESCENDING)
    return {"documents": [as_json(it) for it in found.stream()]}


def count(call):
    """Adds one, `times` times: by Firestore's increment, or by reading and writing in a transaction."""
    at = document(call)

    @firestore.transactional
    def add(transaction):
        fields = at.get(transaction=transaction).to_dict()
        transaction.update(at, {call["field"]: fields[call["field"]] + 1})

    for _ in range(call["times"]):
        if call["by"] == "increment":
            at.update({call["field"]: firestore.Increment(1)})
        else:
            add(client("firestore", call["project"]).transaction(max_attempts=50))


def blob(call):
    return client("storage", call["project"]).bucket(call["bucket"]).blob(call["name"])


def put_object(call):
    at = blob(call)
    at.metadata = call.get("metadata")
    # A body that is larger than a chunk is sent by a resumable upload.
    at.chunk_size = 1 << 20 if len(call["body"]) > 1 << 20 else None
    condition = {"if_generation_match": call["generation"]} if "generation" in call else {}
    at.upload_from_string(call["body"], content_type=call.get("content_type"), **condition)
    return {"generation": at.generation}


def get_object(call):
    at = blob(call)
    at.reload()
    return {
        "body": at.download_as_bytes(),
        "content_type": at.content_type,
        "metadata": at.metadata,
        "generation": at.generation,
    }


def list_objects(call):
    found = client("storage", call["project"]).list_blobs(call["bucket"], prefix=call.get("prefix"))
    return {"names": [it.name for it in found]}


def sign(call):
    """The URL that the library would sign at this time."""
    credentials = service_account.Credentials(signer(), ACCOUNT["client_email"], ACCOUNT.get("token_uri"))
    name = urllib.parse.quote(call["name"].encode(), safe=b"/~")
    return {
        "url": _signing.generate_signed_url_v4(
            credentials,
            resource=f"/{call['bucket']}/{name}",
            expiration=datetime.timedelta(seconds=call["seconds"]),
            api_access_endpoint=call["endpoint"],
            method=call["method"],
            _request_timestamp=call["now"],
        )
    }


def publisher(ordered=False):
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=ordered)
    return pubsub_v1.PublisherClient(publisher_options=options)


def make_topic(call):
    publisher().create_topic(name=publisher().topic_path(call["project"], call["topic"]))


def subscribe(call):
    """Subscribes to a topic, under the topic's name: for pulls, or for pushes to the URL `push`."""
    with pubsub_v1.SubscriberClient() as subscriber:
        name = call.get("subscription", call["topic"])
        request = {
            "name": subscriber.subscription_path(call["project"], name),
            "topic": publisher().topic_path(call["project"], call["topic"]),
            "enable_message_ordering": True,
        }
        if "push" in call:
            request["push_config"] = {"push_endpoint": call["push"]}
        subscriber.create_subscription(request=request)


def publish(call):
    key = call.get("ordering_key", "")
    topic = publisher().topic_path(call["project"], call["topic"])
    sent = publisher(bool(key)).publish(topic, call["body"], ordering_key=key, **call.get("attributes", {}))
    return {"id": sent.result(timeout=20)}


def pull(call):
    """Pulls and acknowledges `count` messages, or fewer if no more arrive within 20 s."""
    found = []
    with pubsub_v1.SubscriberClient() as subscriber:
        path = subscriber.subscription_path(call["project"], call["subscription"])
        until = time.monotonic() + 20
        while len(found) < call["count"] and time.monotonic() < until:
            request = {"subscription": path, "max_messages": call["count"] - len(found)}
            received = subscriber.pull(request=request, timeout=20).received_messages
            if received:
                ids = [it.ack_id for it in received]
                subscriber.acknowledge(request={"subscription": path, "ack_ids": ids})
            found.extend(it.message for it in received)
    return {
        "messages": [
            {"id": it.message_id, "body": it.data, "attributes": dict(it.attributes), "ordering_key": it.ordering_key}
            for it in found
        ]
    }


def secrets(call):
    options = {"api_endpoint": call["endpoint"]}
    credentials = AnonymousCredentials()
    return secretmanager.SecretManagerServiceClient(
        credentials=credentials, transport="rest", client_options=options
    )


def secret_path(call):
    return f"projects/{call['project']}/secrets/{call['name']}"


def make_secret(call):
    secret = {"replication": {"automatic": {}}}
    secrets(call).create_secret(parent=f"projects/{call['project']}", secret_id=call["name"], secret=secret)


def add_version(call):
    made = secrets(call).add_secret_version(parent=secret_path(call), payload={"data": call["value"]})
    return {"version": made.name}


def access(call):
    found = secrets(call).access_secret_version(name=f"{secret_path(call)}/versions/latest")
    return {"value": found.payload.data, "version": found.name}


def change_version(call):
    """Disables, enables or destroys a version."""
    getattr(secrets(call), f"{call['change']}_secret_version")(name=call["version"])


def signer():
    return crypt.RSASigner.from_service_account_info(ACCOUNT)


def keys(call):
    """The public half of the key, in the form in which Google publishes its keys."""
    key = load_pem_private_key(ACCOUNT["private_key"].encode(), None)
    numbers = key.public_key().public_numbers()

    def written(number):
        octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
        return base64.urlsafe_b64encode(octets).decode().rstrip("=")

    header = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": signer().key_id}
    return {"keys": [{**header, "n": written(numbers.n), "e": written(numbers.e)}]}


def token(call):
    """A token of the same form as Google's, signed with the service account's key."""
    return {"token": jwt.encode(signer(), call["claims"]).decode()}


OPERATIONS = {
    "document.put": put_document,
    "document.get": get_document,
    "document.delete": lambda call: document(call).delete() and None,
    "document.list": list_documents,
    "document.query": query_documents,
    "document.count": count,
    "bucket.make": lambda call: client("storage", call["project"]).create_bucket(call["bucket"]) and None,
    "object.put": put_object,
    "object.get": get_object,
    "object.list": list_objects,
    "object.delete": lambda call: blob(call).delete(),
    "object.sign": sign,
    "topic.make": make_topic,
    "topic.subscribe": subscribe,
    "topic.publish": publish,
    "topic.pull": pull,
    "secret.make": make_secret,
    "secret.add": add_version,
    "secret.get": access,
    "secret.change": change_version,
    "secret.delete": lambda call: secrets(call).delete_secret(name=secret_path(call)),
    "token.make": token,
    "token.keys": keys,
}


def read(value):
    if isinstance(value, dict):
        if set(value) == {"bytes"}:
            return base64.b64decode(value["bytes"])
        if set(value) == {"time"}:
            return datetime.datetime.fromisoformat(value["time"])
        return {name: read(part) for name, part in value.items()}
    return [read(part) for part in value] if isinstance(value, list) else value


def write(value):
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return {"time": value.isoformat(timespec="milliseconds")}
    if isinstance(value, dict):
        return {name: write(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [write(part) for part in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def answer(call):
    try:
        return write(OPERATIONS[call["operation"]](read(call["input"]))) or {}
    except (GoogleAPIError, TimeoutError) as error:
        return {"error": f"{type(error).__name__}: {error}", "status": getattr(error, "code", None)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
