import boto3
import pytest


@pytest.fixture(autouse=True)
def default_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 keeps its first session, with the credentials of that time: the ones of an earlier test's account."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
