"""HTTP operations of the reporting app, for staff."""
