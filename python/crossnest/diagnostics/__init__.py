"""Diagnostics of a fitted model: influence, goodness of fit, simulated residuals.

Each module holds one of them; the methods of `crossnest.LinearMixedModel` call them.
"""
