"""Users' data frames, read one column at a time and checked."""
