#!/bin/sh
# MiniStack: a DynamoDB table restored to a point in time holds what was written after that point.
#
# ministack 1.5.33 with boto3 1.43.106. RestoreTableToPointInTime answers as AWS does, and the new table is a copy of the
# present one, whatever moment was asked for. A table restored from CreateBackup's backup holds the data of the backup:
# rehearse a restore with that.
#
# Seen:
#   restored to before the second write: ['first', 'second']
#   restored from the backup before it: ['first']
set -eu
dir=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check ministack==1.5.33 boto3==1.43.106
cd "$dir"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
GATEWAY_PORT=$port HOME=$dir venv/bin/ministack >server.log 2>&1 &
server=$!
venv/bin/python - "$port" <<'PROGRAM'
import sys
import time
from datetime import UTC, datetime

import boto3
from botocore.exceptions import BotoCoreError, ClientError

dynamodb = boto3.client(
    "dynamodb",
    region_name="ap-south-1",
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
for _ in range(60):
    try:
        dynamodb.list_tables()
        break
    except (BotoCoreError, ClientError):
        time.sleep(0.5)
dynamodb.create_table(
    TableName="table",
    KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
)
dynamodb.update_continuous_backups(
    TableName="table", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
)


def keys(table):
    while dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        time.sleep(0.2)
    return sorted(item["k"]["S"] for item in dynamodb.scan(TableName=table)["Items"])


dynamodb.put_item(TableName="table", Item={"k": {"S": "first"}})
backup = dynamodb.create_backup(TableName="table", BackupName="backup")["BackupDetails"]["BackupArn"]
time.sleep(2)
moment = datetime.now(UTC)
time.sleep(2)
dynamodb.put_item(TableName="table", Item={"k": {"S": "second"}})
dynamodb.restore_table_to_point_in_time(SourceTableName="table", TargetTableName="to-the-point", RestoreDateTime=moment)
dynamodb.restore_table_from_backup(BackupArn=backup, TargetTableName="from-backup")
print(f"restored to before the second write: {keys('to-the-point')}")
print(f"restored from the backup before it: {keys('from-backup')}")
assert keys("to-the-point") == ["first", "second"]
assert keys("from-backup") == ["first"]
PROGRAM
