"""HTTP operations of the users app, one module each."""
