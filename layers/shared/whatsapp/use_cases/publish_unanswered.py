"""Every minute: publish which messages nobody answered by the time that their callers gave."""

from whatsapp.adapters.dynamodb.answer_store import AnswerStore, ExpectedAnswer
from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.group_store import GroupStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.events import MessageUnanswered
from whatsapp.domain.ports import Clock, Deadline
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.group import is_answered
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, shards_of
from whatsapp.use_cases.outbox import Outbox
from whatsapp.use_cases.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishUnanswered:
    """Settles expected answers that are due. A canceled message and an erased person are not asked about."""

    answers: AnswerStore
    messages: MessageStore
    contacts: ContactStore
    groups: GroupStore
    outbox: Outbox
    clock: Clock

    def __call__(self, deadline: Deadline) -> int:
        """Returns how many were settled.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single ones. Those come again.
        """
        sweep = Sweep(clock=self.clock, deadline=deadline)
        due = (one for shard in shards_of("answer") for one in self.answers.due(shard, self.clock.now()))
        settled = sweep.each(due, self._settle, claim=self._postpone, needs=periods.SWEEP_NEEDS)
        sweep.raise_errors("not every expected answer could be settled")
        return settled

    def _postpone(self, expected: ExpectedAnswer) -> ExpectedAnswer | None:
        return self.answers.postpone(expected, self.clock.now() + periods.POSTPONED)

    def _settle(self, expected: ExpectedAnswer) -> bool:
        messages = self._continued(expected.message_id)
        if messages and self._is_unanswered(messages) and not self.outbox.publish(_unanswered(messages)):
            return False  # the bus is down: it comes again
        self.answers.settle(expected)
        return True

    def _continued(self, message_id: str | None) -> list[Message]:
        """The message and those that continue it."""
        found = []
        while message_id and (message := self.messages.get(message_id)):
            found.append(message)
            message_id = message.continued_as
        return found

    def _is_unanswered(self, messages: list[Message]) -> bool:
        first, last = messages[0], messages[-1]
        if last.status is Status.CANCELED or not last.to:
            return False
        contact = self.contacts.get(last.contact_id) or Contact(contact_id=last.contact_id)
        group = self.groups.get(last.group) if last.group else None
        others = self.messages.get_many(sorted(group.message_ids)) if group else []
        return not any(_speaks_for(other, first) for other in others) and not is_answered([*messages, *others], contact)


def _speaks_for(other: Message, message: Message) -> bool:
    """Of a group's messages whose answer is expected by the same time, the last one's event is published."""
    is_later = (other.created_at, other.message_id) > (message.created_at, message.message_id)
    return (
        is_later
        and other.answer_by == message.answer_by
        and other.continues is None
        and other.status is not Status.CANCELED
    )


def _unanswered(messages: list[Message]) -> MessageUnanswered:
    """`messages`: the one whose answer was expected, and those that continue it."""
    first, last = messages[0], messages[-1]
    answer_by = iso(first.answer_by or 0)
    return MessageUnanswered(
        event_id=f"{first.message_id}#unanswered",
        occurred_at=answer_by,
        contact_id=last.contact_id,
        address=last.to,
        user_id=last.user_id,
        agent=last.agent,
        group=last.group,
        message_id=first.message_id,
        template=first.template,
        answer_by=answer_by,
    )
