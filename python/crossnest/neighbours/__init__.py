"""Interfaces to other packages, each imported when first used; none of them is required."""
