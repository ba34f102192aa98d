"""The group routes: show the messages about one thing, and cancel all that wait."""

from whatsapp.adapters.dynamodb.group_store import GroupStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.answers import CanceledGroup, ShownGroup
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Clock
from whatsapp.domain.sending.lifecycle import ACCEPTED, IN_DOUBT
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.request import answer_for
from whatsapp.use_cases.cancel_message import CancelMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageGroups:
    """Serves the group routes."""

    groups: GroupStore
    messages: MessageStore
    cancel_message: CancelMessage
    clock: Clock

    def show(self, name: str) -> ShownGroup:
        """The group's messages in the order in which they were stored, as `GET /messages/{message_id}` shows each.

        Raises:
            MessagingError: `not_found`.
        """
        group = self.groups.get(name)
        if group is None:
            raise MessagingError("not_found", "no message was sent under this group")
        return {"group": name, "messages": [answer_for(one).to_json() for one in self._messages(group.message_ids)]}

    def cancel(self, name: str) -> CanceledGroup:
        """Cancel all that waits, and all that was asked for before and is still on the queue.

        It ends once every clock is past the cancel, so that what its caller asks for next, on the queue too, goes.

        Returns:
            `canceled`: the ids of the messages that do not go; `too_late`: of those that went, or may have gone.
        """
        self.groups.get(name)  # DynamoDB's answer corrects the clock of a new sandbox
        group = self.groups.cancel(name, self.clock.now() + periods.CLOCK_ERROR)
        canceled, too_late = [], []
        for message in self._messages(group.message_ids):
            if message.continued_as:
                continue  # the message that continues it is in the group too
            try:
                self.cancel_message(message.message_id)
                canceled.append(message.message_id)
            except MessagingError:
                current = self.messages.get(message.message_id) or message
                if current.status in ACCEPTED | IN_DOUBT:
                    too_late.append(message.message_id)
        self.clock.sleep(periods.GROUP_CANCEL_WAITS_S)
        return {"canceled": canceled, "too_late": too_late}

    def _messages(self, message_ids: frozenset[str]) -> list[Message]:
        return sorted(self.messages.get_many(sorted(message_ids)), key=lambda message: message.created_at)
