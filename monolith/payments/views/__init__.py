"""HTTP operations of the payments app."""
