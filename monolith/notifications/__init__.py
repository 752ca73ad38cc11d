"""The old notification path: mails sent by Celery tasks, beside the events that replace them."""
