"""`python -m local.phone STACK_JSON [PORT]`: the page of a stack that runs already, for work on the page itself."""

import json
import signal
import sys
from pathlib import Path

from local.phone.server import serving

if __name__ == "__main__":
    stack = json.loads(Path(sys.argv[1]).read_text())
    with serving(stack, int(sys.argv[2]) if len(sys.argv) > 2 else 0) as phone:
        print(phone.url, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopped")
