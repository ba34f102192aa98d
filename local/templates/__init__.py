"""The template catalog for those who word it: its form, its checks, its preview (`make templates`)."""
