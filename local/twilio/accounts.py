"""The account itself: whether it is a trial, active, and what money is left.

Sources: https://www.twilio.com/docs/iam/api/account and https://www.twilio.com/docs/iam/api-keys/keys-in-console
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.twilio.door import Door, credentials
from local.twilio.errors import TwilioError
from local.twilio.state import API_VERSION, Account, rfc2822


class AccountsApi:
    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self, door: Door) -> list[Route]:
        accounts = f"/api/{API_VERSION}/Accounts/{{account_sid}}"
        return [
            door.route("GET", f"{accounts}.json", self.fetch),
            door.route("GET", f"{accounts}/Balance.json", self.balance),
        ]

    async def fetch(self, request: Request) -> Response:
        _refuse_keys(request)
        account, at = self._account, rfc2822(self._account.created)
        uri = f"/{API_VERSION}/Accounts/{account.sid}"
        return JSONResponse(
            {
                "sid": account.sid,
                "owner_account_sid": account.sid,
                "friendly_name": "The clinic's account",
                "status": account.settings.account_status,
                "type": account.settings.account_type,
                "auth_token": account.auth_token,
                "date_created": at,
                "date_updated": at,
                "uri": f"{uri}.json",
                "subresource_uris": {"messages": f"{uri}/Messages.json", "balance": f"{uri}/Balance.json"},
            }
        )

    async def balance(self, request: Request) -> Response:
        _refuse_keys(request)
        account = self._account
        return JSONResponse({"account_sid": account.sid, "balance": account.settings.balance, "currency": "USD"})


def _refuse_keys(request: Request) -> None:
    """Only the account's own credentials, or a Main key, may see it: the keys here are Standard ones.

    Raises:
        TwilioError: 20003.
    """
    _, user, _ = credentials(request)
    if user.startswith("SK"):
        raise TwilioError(20003)
