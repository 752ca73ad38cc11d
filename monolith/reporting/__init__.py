"""Revenue by day, sign-ups and activity, exports: for staff, read from the tables of every other app."""
