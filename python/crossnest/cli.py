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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from . import __version__, datasets
from .base.ddf_methods import check_ddf
from .base.files import write_file
from .data.data_files import KINDS, read_data
from .lmer import lmer
from .model import LinearMixedModel
from .report.summary import Summary

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

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
  ranef                        by grouping factor: levels, columns, values (a row per level)
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
    """Reports errors in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print, and do not hide a failed write as argparse does."""
        if file is sys.stdout:
            sys.stdout.write(message)
        else:
            _say(message.rstrip("\n"))


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
    if sys.stdout is None:
        return _complain("standard output is closed", FAILED)
    _print_what_the_terminal_can()
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `crossnest fit ... | head`: nobody is left to tell
        _forget_output()
        return OK
    except OSError as error:
        _forget_output()
        return _complain(f"cannot write the output: {error.strerror or error}", FAILED)


def _run(arguments: Sequence[str] | None) -> int:
    """Run a command; any failure becomes one line and an exit status."""
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except SystemExit as left:  # argparse: help, version, or arguments it refuses
        return int(left.code or OK)
    except (_BadInput, ValueError, TypeError) as error:
        return _complain(error, BAD_INPUT)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except (MemoryError, RuntimeError, ArithmeticError) as error:
        return _complain(error, FAILED)
    except OSError:
        raise
    except Exception as error:
        kind = type(error).__name__
        return _complain(f"{kind}: {error} (a bug in crossnest, please report it)", FAILED)


def _print_what_the_terminal_can() -> None:
    """Replace characters that standard output has no code for, and do not fail at them."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """Discard the rest of the output, or Python complains on exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        help=f"a bundled data set (see `crossnest datasets`), a file ({', '.join(KINDS)}; texts "
        "may be compressed), or '-' for a text from standard input",
    )
    fit.add_argument(
        "--sep",
        metavar="S",
        help="separator of a text's columns: a character, tab or space (comma)",
    )
    fit.add_argument("--encoding", metavar="E", help="encoding of a text (utf-8)")
    fit.add_argument("--decimal", metavar="D", default=".", help="decimal mark of a text (.)")
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument("--weights", metavar="W", help="column of precision weights")
    fit.add_argument("--offset", metavar="O", help="column added to the linear predictor")
    fit.add_argument(
        "--ddf",
        default="satterthwaite",
        type=_ddf,
        help="degrees of freedom of the tests (satterthwaite)",
    )
    fit.add_argument("--json", metavar="OUT", help="write the results to this file ('-': print)")
    listing = commands.add_parser(
        "datasets", help="list the bundled data sets", description="List the bundled data sets."
    )
    listing.set_defaults(run=_datasets)
    return parser


def _ddf(text: str) -> str:
    """Read a method of degrees of freedom."""
    try:
        return check_ddf(text, none=True)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fit(options: argparse.Namespace) -> int:
    if options.json not in (None, "-") and not Path(options.json).absolute().parent.is_dir():
        raise _BadInput(f"cannot write {options.json}: there is no such directory")
    data = _read(options)
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
    for text in texts:
        _say(f"crossnest: warning: {text}")
    return OK if model.converged else FAILED


def _datasets(_: argparse.Namespace) -> int:
    names = datasets.names()
    width = max(map(len, names))
    for name in names:
        description = (getattr(datasets, name).__doc__ or "").partition("\n")[0]
        print(f"{name:{width}}  {description}")
    return OK


def _read(options: argparse.Namespace) -> pd.DataFrame:
    """Read the data, under the name they were given."""
    data = read_data(options.data, options.sep, options.encoding, options.decimal)
    data.attrs["name"] = options.data
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
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False, ensure_ascii=target == "-")
    if target == "-":
        print(text)
        return
    try:
        write_file(target, (text + "\n").encode(errors="backslashreplace"))
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
    _say(f"crossnest: error: {text}")
    return status


def _say(text: str) -> None:
    """Print a line on standard error, if there is one."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr)
