"""Run in a sandbox: import a handler and serve one event, then end at once. `python first_request.py MODULE EVENT`."""

import importlib
import json
import os
import sys
import time
from pathlib import Path


class Context:
    """As much of Lambda's context as handlers look at."""

    function_name = "bench"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:ap-south-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


if __name__ == "__main__":
    event = json.loads(Path(sys.argv[2]).read_bytes())
    handler = importlib.import_module(sys.argv[1]).lambda_handler
    after_init = time.process_time()
    answer = handler(event, Context())
    print(json.dumps({"init": after_init, "request": time.process_time() - after_init}), flush=True)
    os._exit(0 if answer["statusCode"] == 200 else 3)  # without the interpreter's teardown, which Lambda never sees
