"""Tests, degrees of freedom and intervals of a fitted model: one verb per module.

Each module takes a fitted `crossnest.LinearMixedModel`; none knows how it was fitted.
"""
