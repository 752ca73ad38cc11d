"""The Django app: the outbox table's migration and the checks of the settings."""
