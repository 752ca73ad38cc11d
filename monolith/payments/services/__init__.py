"""What can be done with payments, each in a module of its own. These functions own the transactions."""
