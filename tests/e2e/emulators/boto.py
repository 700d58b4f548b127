"""Calls AWS with boto3, for trials in which boto3 reads the data of isobar, and isobar reads its data.

    boto.py "\"ENDPOINT\""

Each line of standard input is a call, {"operation": "s3 get_object", "input": {...}}; each line of standard
output its answer, or {"error": text}. Bytes are {"bytes": base64}.
"""

import base64
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def read(value):
    if isinstance(value, dict):
        if set(value) == {"bytes"}:
            return base64.b64decode(value["bytes"])
        return {name: read(part) for name, part in value.items()}
    return [read(part) for part in value] if isinstance(value, list) else value


def write(value):
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: write(part) for name, part in value.items() if name != "ResponseMetadata"}
    if isinstance(value, list):
        return [write(part) for part in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def answer(call):
    service, operation = call["operation"].split(" ")
    client = boto3.client(
        service,
        endpoint_url=json.loads(sys.argv[1]),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    try:
        return write(getattr(client, operation)(**read(call["input"])))
    except (BotoCoreError, ClientError) as error:
        return {"error": str(error)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
