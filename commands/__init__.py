"""Commands for operators, on AWS or on the running local stack: dead letters, doubts, restore, the template sync."""
