"""Known vulnerabilities of all that uv.lock pins: `python -m tools.audit`.

It asks OSV, osv.dev, by `uv audit`. Where that cannot be reached, nothing was audited: it says so, and fails only if
AUDIT is `required`, as on a machine that releases.
"""

import os
import subprocess
import sys

_FOUND = 1  # uv's exit status; 0 is none, 2 is that it could not ask


def main(arguments: list[str]) -> int:
    """The exit status: 0 if nothing is known, or if nobody could be asked and need not be."""
    command = [".venv/bin/uv", "audit", "--frozen", "--preview-features", "audit-command", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode in (0, _FOUND):
        print(done.stdout + done.stderr, end="")
        return done.returncode
    print(f"audit: NOT DONE. OSV gave no answer, so vulnerable packages are not seen:\n{done.stderr}", file=sys.stderr)
    return 1 if os.environ.get("AUDIT") == "required" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
