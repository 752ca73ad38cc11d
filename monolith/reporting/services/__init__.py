"""What is reported, and how it is worked out."""
