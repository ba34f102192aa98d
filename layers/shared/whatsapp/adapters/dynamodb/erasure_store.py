"""Erasure in DynamoDB: its jobs, and messages without anything personal."""

from collections.abc import Iterator
from dataclasses import replace

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Put
from whatsapp.adapters.dynamodb.due import due_items
from whatsapp.adapters.dynamodb.items import kept_until, message_key
from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.sending.message import shard_of

_PERSONAL_ON_CONTACTS = (
    "address",
    "user_id",
    "user_written_at",
    "written_to",
    "language",
    "agent",
    "opted_in_at",
    "opt_in_source",
    "last_outbound_agent",
    "last_inbound_at",
    "last_template",
    "last_template_language",
)
"""Other attributes are kept: opt-out, rate limit, in-flight message, aliases, suppression."""
_PERSONAL_ON_MESSAGES = (
    "idempotency_key",
    "text",
    "variables",
    "media_url",
    "user_id",
    "user_ids",
    "address",
    "profile_name",
    "location",
    "media",
    "more",
    "button_text",
    "button_payload",
    "choice",
    "choices",
    "choices_label",
    "flow",
    "reaction",
    "referral",
    "safety",
)
"""And `to` of an outgoing message. An inbound message's `to` is our own number, which is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureJob:
    """The erasure of a contact: when it was asked for, and when its next pass is due (epoch ms)."""

    contact_id: str
    erased_at: int
    due_at: int | None


class ErasureStore:
    """Erasure jobs, and the attributes that they remove."""

    def __init__(self, db: DynamoDB, messages_table: str, contacts_table: str, retention_days: int) -> None:
        self._db = db
        self._messages = messages_table
        self._contacts = contacts_table
        self._retention_days = retention_days

    def begin(self, job: ErasureJob) -> None:
        """Strip the contact's row and store the job in one transaction. A second erasure restarts the job."""
        row = Change(
            table=self._contacts,
            key={"contact_id": job.contact_id},
            set={"erased_at": job.erased_at, **dict.fromkeys(_PERSONAL_ON_CONTACTS)},
            condition=Attr("alias_of").not_exists(),
        )
        ttl = kept_until(job.erased_at, self._retention_days)
        item = {
            **_key(job.contact_id),
            "job_for": job.contact_id,
            "erased_at": job.erased_at,
            "due_shard": shard_of("erase", job.contact_id),
            "due_at": job.due_at,
            "ttl": ttl,
        }
        self._db.transact(row, Put(table=self._messages, item=item))

    def due(self, shard: str, until: int) -> Iterator[ErasureJob]:
        """The jobs that are due."""
        for item in due_items(self._db, self._messages, shard, until):
            yield ErasureJob(contact_id=item["job_for"], erased_at=item["erased_at"], due_at=item["due_at"])

    def postpone(self, job: ErasureJob, due_at: int) -> ErasureJob | None:
        """Move the job's due time before a pass, so that two sweeps at once make one pass. None: another has it."""
        try:
            self._db.write(
                Change(
                    table=self._messages,
                    key=_key(job.contact_id),
                    set={"due_at": due_at},
                    condition=Attr("due_at").eq(job.due_at),
                )
            )
        except ConditionFailed:
            return None
        return replace(job, due_at=due_at)

    def record_pass(self, job: ErasureJob) -> None:
        """Store when the next pass is due."""
        shard = shard_of("erase", job.contact_id) if job.due_at else None
        self._db.write(
            Change(
                table=self._messages,
                key=_key(job.contact_id),
                set={"due_at": job.due_at, "due_shard": shard},
            )
        )

    def unfinished(self, contact_id: str, until: int) -> Iterator[str]:
        """Ids of the messages, either direction, asked for or received by then, that are not fully erased yet."""
        span = Attr("contact_id").eq(contact_id) & Attr("at").lte(until + periods.ERASURE_OVERTAKES)
        for page in self._db.pages(self._messages, span, index="conversation"):
            found = self._db.get_many(self._messages, [message_key(item["message_id"]) for item in page])
            theirs = (item for item in found if min(item["at"], item.get("asked_at", item["at"])) <= until)
            yield from (item["message_id"] for item in theirs if not item.get("erased"))

    def strip(self, message_id: str, *, is_outgoing: bool, is_gone_at_twilio: bool) -> None:
        """Remove everything personal from a message. Its key, status and times stay as a pseudonymous ledger."""
        personal = (*_PERSONAL_ON_MESSAGES, "to") if is_outgoing else _PERSONAL_ON_MESSAGES
        final = {"request_hash": "", "stop": "erased", "erased": is_gone_at_twilio or None}
        self._db.write(
            Change(
                table=self._messages,
                key=message_key(message_id),
                set={**dict.fromkeys(personal), **final},
                condition=Attr("message_id").exists(),
            )
        )


def _key(contact_id: str) -> dict[str, str]:
    return {"message_id": f"erase-{contact_id}", "entry": "job"}
