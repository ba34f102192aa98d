"""Our private S3 bucket for patients' media."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain import periods
from whatsapp.domain.ports import MediumUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3MediaStore:
    """The `MediaStore` port."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Store a medium, as an attachment: a browser downloads a stranger's file and never shows it as a page.

        Raises:
            MediumUnavailableError: S3 did not take it, this time.
        """
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                ContentType=content_type,
                ContentDisposition="attachment",
            )
        except (ClientError, BotoCoreError) as error:
            raise MediumUnavailableError(f"the bucket did not take it ({type(error).__name__})") from None

    def url(self, key: str) -> str:
        """A link that reads one medium for 15 minutes."""
        read = {"Bucket": self._bucket, "Key": key}
        return self._client.generate_presigned_url("get_object", Params=read, ExpiresIn=periods.MEDIUM_LINK_S)

    def delete_all(self, contact_id: str) -> None:
        """Delete all of a contact's media."""
        for page in self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"media/{contact_id}/"
        ):
            for found in page.get("Contents", []):
                self._client.delete_object(Bucket=self._bucket, Key=found["Key"])
