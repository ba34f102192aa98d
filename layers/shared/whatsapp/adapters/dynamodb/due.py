"""The index `due` of the messages table: what a sweep has to look at, by shard and time."""

from collections.abc import Iterator

from whatsapp.adapters.dynamodb.client import Attr, DynamoDB, Item


def due_items(db: DynamoDB, messages_table: str, shard: str, until: int, entry: str = "") -> Iterator[Item]:
    """The items of a shard that are due by then, as they stand now; each page is read when it is asked for.

    A hint: the index lags, conditions decide. `entry`: how their sort key begins, where a shard holds several kinds.
    """
    span = Attr("due_shard").eq(shard) & Attr("due_at").lte(until)
    for page in db.pages(messages_table, span, index="due"):
        keys = [
            {"message_id": item["message_id"], "entry": item["entry"]}
            for item in page
            if item["entry"].startswith(entry)
        ]
        yield from (item for item in db.get_many(messages_table, keys) if item.get("due_shard") == shard)
