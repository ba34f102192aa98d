"""Commands for operators, on AWS or on the running local stack: each takes `--stage` or `--stack`, or neither."""
