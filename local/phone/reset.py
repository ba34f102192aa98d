"""Empties a stack: messages, contacts, files and queues go; templates, with their approvals, stay."""

from typing import Any

from local.aws import files, scan


def empty(dynamodb: Any, s3: Any, sqs: Any, outputs: dict[str, str], tables: dict[str, list[str]]) -> None:
    """Delete every item of these tables, every file, and what is in both queues.

    Args:
        dynamodb, s3, sqs: boto3 clients.
        outputs: the stack's.
        tables: the names of each table's key attributes, by its name.
    """
    for table, keys in tables.items():
        for item in scan(dynamodb, table):
            dynamodb.delete_item(TableName=table, Key={name: item[name] for name in keys})
    bucket = outputs["MediaBucketName"]
    for key in files(s3, bucket):
        s3.delete_object(Bucket=bucket, Key=key)
    for queue in ("SendQueueUrl", "SendDeadLetterQueueUrl"):
        sqs.purge_queue(QueueUrl=outputs[queue])
