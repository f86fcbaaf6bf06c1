"""Fitted models in files: saved without their data, and loaded again."""
