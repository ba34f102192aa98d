#!/bin/sh
# moto: ConsumedCapacity is the same for ten bytes and for 100 KB, and missing for transactions.
#
# moto 5.2.5 with boto3 1.44.8. DynamoDB bills a write by each KB and a consistent read by each 4 KB, so that 100 KB
# take 98 and 25 units, and a transaction twice that. moto answers 1 and 0.5 whatever the size, and an empty list for
# TransactWriteItems: units counted in a test on moto tell nothing.
#
# Seen:
#   put of 10 bytes 1.0, of 100000 bytes 1.0
#   consistent get of 10 bytes 0.5, of 100000 bytes 0.5
#   transaction []
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
    put, get = {}, {}
    for size in (10, 100_000):
        item = {"k": {"S": "a"}, "text": {"S": "x" * size}}
        written = dynamodb.put_item(TableName="t", Item=item, ReturnConsumedCapacity="TOTAL")
        read = dynamodb.get_item(
            TableName="t", Key={"k": {"S": "a"}}, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
        )
        put[size] = written["ConsumedCapacity"]["CapacityUnits"]
        get[size] = read["ConsumedCapacity"]["CapacityUnits"]
    transaction = dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": "t", "Item": item}}], ReturnConsumedCapacity="TOTAL"
    )["ConsumedCapacity"]
for name, units in (("put", put), ("consistent get", get)):
    print(f"{name} of 10 bytes {units[10]}, of 100000 bytes {units[100_000]}")
print(f"transaction {transaction}")
assert put == {10: 1.0, 100_000: 1.0}
assert get == {10: 0.5, 100_000: 0.5}
assert transaction == []
PROGRAM
