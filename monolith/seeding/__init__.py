"""A company of any size, made up: what `manage.py seed` writes. It belongs to no domain."""
