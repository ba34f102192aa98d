"""Commands for operators, on AWS or on the running local stack: dead letters, the template sync."""
