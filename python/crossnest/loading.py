"""Loading: from a file to the model that was saved in it."""

from __future__ import annotations

import os

from .model import LinearMixedModel
from .storage.model_files import read_model


def load(path: str | os.PathLike[str]) -> LinearMixedModel:
    """Load a model from a file written by `LinearMixedModel.save`.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    LinearMixedModel
        The model without its data: it summarizes, tests and predicts at new data as the saved one.
        What needs the data (`refit`, `resid`, `fittedvalues`, `profile`, `bootstrap`, ...) raises a
        `crossnest.NoDataError`.

    Raises
    ------
    FileFormatError
        If the file is of another kind, damaged, or written by a version too new for this one.
    OSError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> import crossnest, tempfile, os
    >>> model = crossnest.lmer("Yield ~ 1 + (1 | Batch)", crossnest.datasets.dyestuff())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "dyestuff.crossnest")
    ...     model.save(path)
    ...     loaded = crossnest.load(path)
    >>> str(loaded.summary()) == str(model.summary())
    True
    """
    return read_model(path, LinearMixedModel)
