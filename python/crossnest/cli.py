"""The command line: ``crossnest fit``, ``crossnest datasets``.

Exit status: 0 for a fit, 1 if the fit failed or did not converge, 2 for bad input. Errors and
warnings are one line each on standard error.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from . import __version__
from .lmer import lmer
from .model import LinearMixedModel
from .summary import Summary

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_READERS: dict[str, Callable[..., pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".csv.gz": pd.read_csv,
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
}

_JSON_HELP = """\
keys of the JSON written:
  crossnest, formula, data     version of crossnest, formula and data as given
  reml, objective, llf         REML or not, REML criterion or deviance, log-likelihood
  aic, bic, npar, df_resid     information criteria, parameters, residual degrees of freedom
  nobs, n_levels               observations used, levels of each grouping factor
  n_missing, n_zero_weight     rows left out
  theta, sigma                 covariance parameters by name, residual standard deviation
  var_corr                     rows with grp, var1, var2, vcov, sdcor
  fixef                        rows with term, estimate, std_error, df, t_value, p_value
  vcov                         covariance matrix of the fixed effects
  dropped                      aliased columns
  ranef                        by grouping factor: levels, columns, values (a row a level)
  singular, converged          verdicts
  opt                          evaluations, seconds, predicted_decrease, message
  warnings                     texts of the warnings given
Numbers that do not exist (the correlation with a variance of zero) are null.
"""


class _BadInput(Exception):
    """Something the user gave cannot be used; the message is one line."""


_COLUMNS = {
    "Estimate": "estimate",
    "Std. Error": "std_error",
    "df": "df",
    "t value": "t_value",
    "Pr(>|t|)": "p_value",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; taken from the command line if not given.

    Returns
    -------
    int
        The exit status.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (_BadInput, ValueError, TypeError) as error:
        return _complain(error, BAD_INPUT)
    except BrokenPipeError:  # `crossnest fit ... | head`: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except (MemoryError, RuntimeError, ArithmeticError) as error:
        return _complain(error, FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="crossnest", description="Fit linear mixed models.")
    parser.add_argument("--version", action="version", version=f"crossnest {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fit = commands.add_parser(
        "fit",
        help="fit a model and print its summary",
        description="Fit a linear mixed model and print its summary.",
        epilog=_JSON_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fit.set_defaults(run=_fit)
    fit.add_argument("formula", metavar="FORMULA", help='as in "y ~ x + (x | g)"')
    fit.add_argument(
        "data",
        metavar="DATA",
        help=f"a bundled data set (see `crossnest datasets`) or a file ({', '.join(_READERS)})",
    )
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument("--weights", metavar="W", help="column of precision weights")
    fit.add_argument("--offset", metavar="O", help="column added to the linear predictor")
    fit.add_argument(
        "--ddf",
        default="satterthwaite",
        choices=["satterthwaite", "kenward-roger", "residual", "none"],
        help="degrees of freedom of the tests (satterthwaite)",
    )
    fit.add_argument("--json", metavar="OUT", help="write the results to this file ('-': print)")
    listing = commands.add_parser(
        "datasets", help="list the bundled data sets", description="List the bundled data sets."
    )
    listing.set_defaults(run=_datasets)
    return parser


def _fit(options: argparse.Namespace) -> int:
    if options.json not in (None, "-") and not Path(options.json).absolute().parent.is_dir():
        raise _BadInput(f"cannot write {options.json}: there is no such directory")
    data = _read(options.data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = lmer(
            options.formula,
            data,
            reml=not options.ml,
            weights=options.weights,
            offset=options.offset,
        )
        summary = model.summary(options.ddf)
    texts = [_one_line(warning.message) for warning in caught]
    if options.json != "-":
        print(summary)
    if options.json is not None:
        _write(results(model, summary, options.data, texts), options.json)
    sys.stdout.flush()
    for text in texts:
        print(f"crossnest: warning: {text}", file=sys.stderr)
    return OK if model.converged else FAILED


def _datasets(_: argparse.Namespace) -> int:
    from . import datasets

    names = datasets.names()
    width = max(map(len, names))
    for name in names:
        description = (getattr(datasets, name).__doc__ or "").partition("\n")[0]
        print(f"{name:{width}}  {description}")
    return OK


def _read(source: str) -> pd.DataFrame:
    """Read a bundled data set or a file."""
    from . import datasets

    path = Path(source)
    reader = next((r for suffix, r in _READERS.items() if source.lower().endswith(suffix)), None)
    if reader is None and (path.suffix or os.sep in source):
        raise _BadInput(f"cannot read {source}: expected a file of {', '.join(_READERS)}")
    try:
        data: pd.DataFrame = datasets.load(source) if reader is None else reader(path)
    except FileNotFoundError:
        raise _BadInput(f"cannot read {source}: there is no such file") from None
    except ImportError:
        raise _BadInput(f"cannot read {source}: install pyarrow to read such files") from None
    except Exception as error:  # readers raise whatever their parsers do
        raise _BadInput(
            str(error) if reader is None else f"cannot read {source}: {error}"
        ) from error
    data.attrs["name"] = source
    return data


def results(
    model: LinearMixedModel, summary: Summary, data: str, warned: Sequence[str]
) -> dict[str, Any]:
    """Collect what ``--json`` writes; its keys are documented in ``crossnest fit --help``."""
    table = summary.coef_table.reindex(columns=list(_COLUMNS)).rename(columns=_COLUMNS)
    table = table.rename_axis("term").reset_index()
    ranef = model.ranef()
    assert isinstance(ranef, dict)
    opt = model.opt
    return {
        "crossnest": __version__,
        "formula": model.formula,
        "data": data,
        **{key: getattr(model, key) for key in ("reml", "objective", "llf", "aic", "bic")},
        **{key: getattr(model, key) for key in ("npar", "df_resid", "nobs", "n_levels")},
        "n_missing": model.design.n_missing,
        "n_zero_weight": model.design.n_zero_weight,
        "theta": model.theta.to_dict(),
        "sigma": model.sigma,
        "var_corr": model.var_corr.to_frame().to_dict("records"),
        "fixef": table.to_dict("records"),
        "vcov": model.vcov.to_numpy().tolist(),
        "dropped": list(model.dropped),
        "ranef": {name: _modes(frame) for name, frame in ranef.items()},
        "singular": model.is_singular,
        "converged": model.converged,
        "opt": {
            "evaluations": opt.evaluations,
            "seconds": opt.seconds,
            "predicted_decrease": opt.predicted_decrease,
            "message": opt.message,
        },
        "warnings": list(warned),
    }


def _modes(frame: pd.DataFrame) -> dict[str, Any]:
    levels = [level if isinstance(level, int) else str(level) for level in frame.index.tolist()]
    return {"levels": levels, "columns": list(frame.columns), "values": frame.to_numpy().tolist()}


def _write(content: dict[str, Any], target: str) -> None:
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False, ensure_ascii=False)
    if target == "-":
        print(text)
        return
    try:
        Path(target).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise _BadInput(f"cannot write {target}: {error.strerror}") from error


def _without_nan(value: Any) -> Any:
    """Replace numbers that JSON cannot hold by None."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _complain(error: object, status: int) -> int:
    text = _one_line(error) or type(error).__name__
    print(f"crossnest: error: {text}", file=sys.stderr)
    return status
