"""Errors and warnings of the package."""


class FormulaError(ValueError):
    """The text of a model formula cannot be understood."""


class DesignError(ValueError):
    """The data do not give a design the model can be fitted to."""


class FileFormatError(ValueError):
    """A file does not hold a saved model, is damaged, or comes from a newer version."""


class NoDataError(ValueError):
    """A model loaded from a file was asked for something that needs the data."""


class CrossnestWarning(UserWarning):
    """Base class of all warnings of the package."""


class DataWarning(CrossnestWarning):
    """Data may not be what was intended, such as numbers stored as text."""


class SingularFitWarning(CrossnestWarning):
    """A covariance matrix of random effects was estimated on its boundary."""


class ConvergenceWarning(CrossnestWarning):
    """The optimizer stopped before the criterion was at its minimum."""


class IdentifiabilityWarning(CrossnestWarning):
    """The data do not determine the variances of some random effects."""


class RankDeficiencyWarning(CrossnestWarning):
    """Columns of the fixed-effects model matrix are aliased and were dropped."""


class SmallGroupWarning(CrossnestWarning):
    """Groups are too small for a fit of their own."""


class InferenceWarning(CrossnestWarning):
    """A test or an interval is not available as requested."""


class ProfileWarning(CrossnestWarning):
    """A profile of the deviance found a better optimum than the fit."""


class ContrastsWarning(CrossnestWarning):
    """Contrasts were given for something that is not a factor of the formula, and were ignored."""
