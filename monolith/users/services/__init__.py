"""What users can do, each in a module of its own. These functions own the transactions."""
