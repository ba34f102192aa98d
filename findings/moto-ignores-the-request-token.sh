#!/bin/sh
# moto: a DynamoDB transaction that is repeated with its ClientRequestToken is applied again.
#
# moto 5.2.5 with boto3 1.44.8. DynamoDB takes a second TransactWriteItems with the same token and content, within ten
# minutes, as the first one's retry and changes nothing (API reference of TransactWriteItems, "ClientRequestToken").
# moto ignores the token, so a test on moto cannot tell whether a caller keeps one token over its retries.
#
# Seen:
#   counted 2 times with one token
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[dynamodb]==5.2.5' boto3==1.44.8
cd "$dir"
venv/bin/python - <<'PROGRAM'
import boto3
from moto import mock_aws

with mock_aws():
    dynamodb = boto3.client("dynamodb", region_name="ap-south-1", aws_access_key_id="x", aws_secret_access_key="x")
    dynamodb.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    key = {"k": {"S": "a"}}
    count = {
        "TableName": "t",
        "Key": key,
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for _ in range(2):
        dynamodb.transact_write_items(ClientRequestToken="one-and-the-same", TransactItems=[{"Update": count}])
    counted = dynamodb.get_item(TableName="t", Key=key)["Item"]["n"]["N"]
print(f"counted {counted} times with one token")
assert counted == "2"
PROGRAM
