"""Gives a reply with choices the content at Twilio that it is sent with."""

from collections.abc import Callable
from dataclasses import replace

from whatsapp.adapters.dynamodb.template_store import TemplateStore
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import ContentGateway, NotSent, Outcome, OutgoingPost, Rejected
from whatsapp.domain.sending.choices import ChoicesLayout

NO_SUCH_CONTENT = 21655


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferChoices:
    """Finds the content of a shape of choices, and makes it at the first use (docs/decisions/0018).

    Workers that meet may make it twice, or one may die before it is stored. One is kept, and the other does no harm.
    """

    templates: TemplateStore
    content: Callable[[], ContentGateway]
    """Made when it is needed: it loads a part of Twilio's SDK that no other message pays for."""

    def __call__(self, post: OutgoingPost) -> OutgoingPost:
        """The POST with its content; unchanged if it has no choices.

        Raises:
            ContentUnavailable: nothing is sent; later it may be there.
            ContentRefused: Twilio takes no such content.
        """
        if post.choices is None:
            return post
        content_sid = self.templates.choices_content(post.choices.name) or self._made(post.choices)
        return replace(post, content_sid=content_sid, content_variables=post.choices.variables)

    def _made(self, layout: ChoicesLayout) -> str:
        contents = self.content()
        content_sid = contents.named(layout.name) or contents.create(layout.content)
        return self.templates.keep_choices_content(layout.name, content_sid)

    def after(self, post: OutgoingPost, outcome: Outcome) -> Outcome:
        """The outcome of the POST. If somebody deleted the content at Twilio, it is made anew for the next try."""
        is_gone = isinstance(outcome, Rejected) and outcome.code == NO_SUCH_CONTENT
        if post.choices is None or post.content_sid is None or not is_gone:
            return outcome
        self.templates.forget_choices_content(post.choices.name, post.content_sid)
        return NotSent("Twilio no longer had the content of these choices")
