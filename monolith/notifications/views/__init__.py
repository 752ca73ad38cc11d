"""HTTP operations of the notifications app."""
