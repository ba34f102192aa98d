#!/bin/sh
# moto: one item without an attribute makes a filter with size() of that attribute fail the whole scan.
#
# moto 5.2.5 with boto3 1.44.8. In DynamoDB an item without the attribute is no match, and the others are returned. moto
# answers ValidationException "Invalid filter expression" for all.
#
# Seen:
#   all have it: 1 item
#   one lacks it: ValidationException
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[dynamodb]==5.2.5' boto3==1.44.8
cd "$dir"
venv/bin/python - <<'PROGRAM'
import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

with mock_aws():
    dynamodb = boto3.client("dynamodb", region_name="ap-south-1", aws_access_key_id="x", aws_secret_access_key="x")
    dynamodb.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def scan():
        return dynamodb.scan(
            TableName="t",
            FilterExpression="size(note) > :none",
            ExpressionAttributeValues={":none": {"N": "0"}},
        )["Count"]

    dynamodb.put_item(TableName="t", Item={"k": {"S": "a"}, "note": {"S": "hello"}})
    found = scan()
    print(f"all have it: {found} item")
    assert found == 1
    dynamodb.put_item(TableName="t", Item={"k": {"S": "b"}})
    try:
        scan()
    except ClientError as error:
        code = error.response["Error"]["Code"]
    else:
        code = "no error"
    print(f"one lacks it: {code}")
    assert code == "ValidationException"
PROGRAM
