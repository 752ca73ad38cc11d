"""What the tests stand on: real servers, and steps done by hand."""
