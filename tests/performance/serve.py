"""Run in a sandbox: import a handler, say `ready`, and serve the events that then come as JSON on the standard input.

`python serve.py MODULE RESULTS`; `empty` imports nothing. Ends at once, without the interpreter's teardown, which
Lambda never sees.
"""

import importlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any


class Context:
    """As much of Lambda's context as handlers look at."""

    function_name = "bench"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:ap-south-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


if __name__ == "__main__":
    module, results = sys.argv[1:]
    handler: Any = None if module == "empty" else importlib.import_module(module).lambda_handler
    imported = sorted(sys.modules)
    print("ready", flush=True)
    events = json.loads(sys.stdin.read())
    requests = []
    for event in events:
        clock, cpu = time.perf_counter(), time.process_time()
        answer = handler(event, Context())
        requests.append(
            {"ms": (time.perf_counter() - clock) * 1000, "cpu": time.process_time() - cpu, "answer": answer}
        )
    (memory,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    found = {"requests": requests, "imported": imported, "memory": int(memory) * 1024}
    Path(results).write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)
