"""Ways that are seldom gone, under enforced policies: without them some right of a role had no test that needs it."""

import time

from whatsapp.domain.sending.message import shard_of

from tests.product import Product, eventually


def test_two_addresses_of_one_person_are_tied(product: Product, patient: str) -> None:
    """The webhook writes the second address's row."""
    hidden = f"IN.{patient.removeprefix('+')}"
    product.twilio("patients", {"address": patient, "external_user_id": hidden})
    sid = product.write(patient, "Hello")["message_sid"]
    (event,) = eventually(lambda: product.events(event_id=sid))
    second = product.api("POST", "/contacts/lookup", {"address": hidden}).json()["contact_id"]
    assert second == event["detail"]["contact_id"]


def test_what_the_index_shows_as_waiting_is_read_and_published(product: Product, patient: str) -> None:
    """As after a bus that was down: the marker is still there."""
    sid = product.write(patient, "Hello")["message_sid"]
    (event,) = eventually(lambda: product.events(event_id=sid))
    product.stack.aws("dynamodb").update_item(
        TableName=product.stack.outputs["MessagesTableName"],
        Key={"message_id": {"S": sid}, "entry": {"S": "message"}},
        UpdateExpression="SET due_shard = :shard, due_at = :now",
        ExpressionAttributeValues={
            ":shard": {"S": shard_of("publish", event["detail"]["contact_id"])},
            ":now": {"N": str(int(time.time() * 1000) - 1000)},
        },
    )
    published = product.stack.invoke("WebhookFunctionName", {"task": "publish"})
    assert published["published"] >= 1


def test_erasure_deletes_the_dead_letters_that_name_the_person(product: Product, patient: str) -> None:
    product.enqueue({"no field of a request": f"call {patient}"})
    eventually(lambda: any(patient in letter for letter in product.dead_letters()))
    contact_id = product.api("POST", "/contacts/lookup", {"address": patient}).json()["contact_id"]
    assert product.api("DELETE", f"/contacts/{contact_id}").status_code == 202
    assert not any(patient in letter for letter in product.dead_letters())
