"""Problems of the C++ engine, made in one call as those of the oracle are."""

from crossnest import _core


def engine(X, y, weights, factors, terms, **options):
    """Make a model and read a response."""
    return _core.Problem(_core.Model(X, weights, factors, terms, **options), y)
