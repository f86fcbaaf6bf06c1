"""Reports of a fitted model: its summary, tidy data frames, models side by side."""
