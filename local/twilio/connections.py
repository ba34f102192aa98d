"""What only the server can do to a TCP connection, as the faults need it."""

from typing import Protocol

from starlette.requests import Request


class Connections(Protocol):
    def reset_connection(self, request: Request) -> None:
        """Answer with TCP RST: the client cannot know whether Twilio accepted."""

    def stop_listening(self) -> None:
        """From now on a client that connects sees ECONNREFUSED, and knows that nothing was sent."""

    async def listen_again(self) -> None:
        """Undo `stop_listening`, on the same port."""
