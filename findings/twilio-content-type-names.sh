#!/bin/sh
# Twilio's Python SDK: a content type named as Python names it is dropped without a word.
#
# twilio 9.13.0. The models of the Content API take a dict by the wire's names ("twilio/text"). Given "twilio_text", the
# name of their own attribute, they keep nothing and raise nothing: a template without any content is posted.
#
# Seen:
#   twilio/text -> {'twilio/text': {'body': 'Hello'}}
#   twilio_text -> {}
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check twilio==9.13.0
cd "$dir"
venv/bin/python - <<'PROGRAM'
from twilio.rest.content.v1.content import ContentList


def posted(name):
    request = ContentList.ContentCreateRequest(
        {"friendly_name": "hello", "language": "en", "types": {name: {"body": "Hello"}}}
    )
    types = request.to_dict()["types"]
    kept = {key: value for key, value in types.items() if value is not None}
    print(f"{name} -> {kept}")
    return kept


attributes = vars(ContentList.Types({"twilio/text": {"body": "Hello"}}))
assert "twilio_text" in attributes
assert posted("twilio/text") == {"twilio/text": {"body": "Hello"}}
assert posted("twilio_text") == {}
PROGRAM
