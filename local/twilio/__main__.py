"""`python -m local.twilio`: the emulated Twilio in a process of its own, until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import json
import signal
from pathlib import Path

from local.twilio.server import EmulatorServer
from local.twilio.state import Account, new_sid


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.twilio", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--account-sid", default=new_sid("AC"))
    parser.add_argument("--auth-token", default="0" * 32)
    parser.add_argument("--api-key", action="append", default=[], help="SK…:secret, as good as the auth token")
    parser.add_argument("--from", dest="senders", action="append", required=True, help="a WhatsApp sender, +E164")
    parser.add_argument("--inbound-url", help="where patients' messages go; `configure` can set it later")
    parser.add_argument("--announce", type=Path, help="a file to write {'url', 'media_url', …} to when ready")
    return parser.parse_args()


async def serve(arguments: argparse.Namespace) -> None:
    account = Account(
        arguments.account_sid,
        arguments.auth_token,
        arguments.senders,
        api_keys=dict(key.split(":", 1) for key in arguments.api_key),
        inbound_url=arguments.inbound_url,
    )
    server = EmulatorServer(account, arguments.port)
    for stop in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stop, server.stop)
    serving = asyncio.ensure_future(server.serve_until_stopped())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    announcement = json.dumps(
        {
            "url": server.url,
            "media_url": server.media_host,
            "account_sid": account.sid,
            "auth_token": account.auth_token,
        }
    )
    if arguments.announce:
        partial = arguments.announce.with_suffix(".partial")
        partial.write_text(announcement)
        partial.rename(arguments.announce)
    print(f"Twilio is emulated at {server.url}", flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(serve(parse_arguments()))
