"""Predictions and simulated responses of a fitted model."""
