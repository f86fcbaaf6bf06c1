"""Data frames as users have them, read one column at a time and checked."""
