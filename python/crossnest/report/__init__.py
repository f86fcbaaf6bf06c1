"""What a fitted model says: its summary, tidy data frames, models side by side."""
