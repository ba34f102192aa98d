#!/bin/sh
# dateparser: "tomorrow at 5" is tomorrow at the present time.
#
# dateparser 1.5.0. An hour without "pm" or minutes beside a relative day is dropped, and the clock's present time is
# taken in its place; nothing tells that a part was not understood.
#
# Seen, on 5 January 2027 at 09:00:
#   tomorrow at 5 pm: 2027-01-06 17:00:00
#   tomorrow at 5: 2027-01-06 09:00:00
#   day after tomorrow at 11: 2027-01-07 09:00:00
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check dateparser==1.5.0
cd "$dir"
venv/bin/python - <<'PROGRAM'
from datetime import datetime

import dateparser

now = {"RELATIVE_BASE": datetime(2027, 1, 5, 9)}
expected = {
    "tomorrow at 5 pm": datetime(2027, 1, 6, 17),
    "tomorrow at 5": datetime(2027, 1, 6, 9),
    "day after tomorrow at 11": datetime(2027, 1, 7, 9),
}
for text, moment in expected.items():
    found = dateparser.parse(text, settings=now)
    print(f"{text}: {found}")
    assert found == moment
PROGRAM
