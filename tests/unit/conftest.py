from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from whatsapp import bootstrap
from whatsapp import client as client_module
from whatsapp.adapters.dynamodb.client import DynamoDB

from local.aws import REGION, server_environment
from local.deploy import read_template
from tests.app import SETTINGS, UnitApp
from tests.unit.client_kit import AppWithBucket, Aws, SendFunction
from tests.unit.receive_kit import Receiving

TABLES = ("MessagesTable", "ContactsTable", "TemplatesTable")


@pytest.fixture(scope="module")
def account() -> Iterator[None]:
    """An AWS account of moto's. For adapters alone: its conditional writes are not safe under threads."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in server_environment().items():
            environment.setenv(name, value)
        with mock_aws():
            yield


@pytest.fixture(scope="module")
def tables(account: None) -> Any:
    """A client of DynamoDB with the tables of template.yaml, named by their logical ids."""
    client = boto3.client("dynamodb", region_name=REGION)
    resources = read_template()["Resources"]
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    for table in TABLES:
        properties = resources[table]["Properties"]
        client.create_table(TableName=table, **{name: properties[name] for name in wanted if name in properties})
    return client


@pytest.fixture
def db(tables: Any) -> DynamoDB:
    """DynamoDB with empty tables."""
    for table in TABLES:
        keys = [key["AttributeName"] for key in tables.describe_table(TableName=table)["Table"]["KeySchema"]]
        for item in tables.scan(TableName=table)["Items"]:
            tables.delete_item(TableName=table, Key={key: item[key] for key in keys})
    return DynamoDB(tables, lambda _seconds: None)


@pytest.fixture
def app_with(db: DynamoDB, tables: Any) -> Callable[..., UnitApp]:
    """Makes the product on empty tables, with settings of the test's own; the catalog is approved in English."""

    def make(**settings: Any) -> UnitApp:
        app = UnitApp(replace(SETTINGS, **settings), tables)
        app.approve()
        return app

    return make


@pytest.fixture
def app(app_with: Callable[..., UnitApp]) -> UnitApp:
    """The product on empty tables, with the template's own settings."""
    return app_with()


@pytest.fixture
def side(db: DynamoDB, tables: Any) -> Receiving:
    """The product on empty tables, for tests of the receive side."""
    return Receiving(SETTINGS, tables)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """What the client calls."""
    aws = Aws()
    monkeypatch.setattr(client_module, "_client", lambda _service: aws)
    monkeypatch.delenv("WHATSAPP_SEND_FUNCTION", raising=False)
    monkeypatch.delenv("WHATSAPP_SEND_QUEUE_URL", raising=False)
    return aws


@pytest.fixture
def send_function(db: object, tables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client calls is the send function's own handler, on empty tables."""
    app = AppWithBucket(SETTINGS, tables)
    app.approve()
    monkeypatch.setattr(bootstrap, "app", lambda: app)
    monkeypatch.setattr(client_module, "_client", lambda _service: SendFunction())
    monkeypatch.setenv("WHATSAPP_SEND_FUNCTION", "send")
