"""What every room uses: errors, checks of arguments, values, read-only results, progress."""
