"""Model matrices: the columns of X and of each Z, by formulaic.

Formulaic decides which columns a set of terms has, and evaluates the expressions of a formula, all
parts of it together. Where every term is a product of data columns and of plain arithmetic of them,
formulaic is asked once for the structure of the matrix (cached by formula and kinds of columns),
and the columns, equal to the ones it would make, are put together here: its own way costs
milliseconds, more than most fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from formulaic import Formula, ModelSpec, ModelSpecs
from formulaic.errors import FormulaicError
from formulaic.materializers import PandasMaterializer
from formulaic.materializers.types import FactorValues
from formulaic.parser.types import Factor, Term
from formulaic.transforms import TRANSFORMS
from formulaic.transforms.contrasts import (
    Contrasts,
    ContrastsRegistry,
    ContrastsState,
    CustomContrasts,
    PolyContrasts,
    TreatmentContrasts,
)
from formulaic.utils.stateful_transforms import stateful_eval
from interface_meta import override

from .columns import Column, FactorColumn, FloatArray, NumericColumn, Use, as_factor
from .errors import DesignError
from .expression import evaluate_elementwise, name_coded_in, names_in
from .formula import Effects, ParsedFormula, factor_names

__all__ = [
    "Evaluated",
    "Matrix",
    "PlainMatrices",
    "Prototype",
    "evaluate",
    "evaluate_groups",
    "evaluate_spec",
    "resolve_contrasts",
    "to_frame",
]

INTERCEPT_NAME = "(Intercept)"
TREATMENT = TreatmentContrasts()


@dataclass(frozen=True, eq=False)
class Matrix:
    """A model matrix by columns.

    Attributes
    ----------
    names
        The k columns' names; ``(Intercept)`` for the constant.
    columns
        k arrays, (n,) float64 contiguous; None for the constant 1.
    array
        (n, k) the whole matrix in Fortran order, where it has been made already.
    """

    names: tuple[str, ...]
    columns: tuple[FloatArray | None, ...]
    array: FloatArray | None = None

    def to_array(self, n: int) -> FloatArray:
        """Return the (n, k) matrix in Fortran order."""
        if self.array is not None:
            return self.array
        out = np.empty((n, len(self.names)), order="F")
        for j, column in enumerate(self.columns):
            out[:, j] = 1.0 if column is None else column
        return out


# ------------------------------------------------------------------------------------ contrasts


def resolve_contrasts(
    contrasts: Mapping[str, Any] | None, known: Iterable[str]
) -> dict[str, Contrasts]:
    """Return formulaic's contrasts of each column named by the user.

    Parameters
    ----------
    contrasts
        Column to contrasts: formulaic's class or instance, a matrix, or R's name (``"contr.sum"``).
    known
        The columns of the formula.

    Raises
    ------
    DesignError
        If a column is not in the formula, or the contrasts are unknown.
    """
    if not contrasts:
        return {}
    known = list(known)
    for name in contrasts:
        if name not in known:
            raise DesignError(
                f"contrasts are given for '{name}', which is not a variable of the formula: "
                f"its variables are {', '.join(known)}"
            )
    return {name: _contrasts(name, value) for name, value in contrasts.items()}


def _contrasts(column: str, value: Any) -> Contrasts:
    """Return one column's contrasts as formulaic's object."""
    if isinstance(value, str):
        kind = getattr(ContrastsRegistry, value.removeprefix("contr."), None)
        if not (isinstance(kind, type) and issubclass(kind, Contrasts)) or kind is CustomContrasts:
            known = "contr.treatment, contr.sum, contr.helmert, contr.poly, contr.SAS, contr.diff"
            raise DesignError(f"unknown contrasts '{value}' for column '{column}': use {known}")
        return kind()
    if isinstance(value, type) and issubclass(value, Contrasts):
        return value()
    if isinstance(value, Contrasts):
        return value
    if isinstance(value, (dict, list, tuple, np.ndarray)):
        return CustomContrasts(value)
    raise DesignError(
        f"contrasts of column '{column}' must be a name such as 'contr.sum', a formulaic contrasts "
        f"object or a matrix, not {type(value).__name__}"
    )


def _default_contrasts(ordered: bool) -> Contrasts:
    """Return R's default: polynomial for ordered factors, treatment for the others."""
    return PolyContrasts() if ordered else TREATMENT


def _coding(
    name: str, contrasts: Contrasts, levels: list[Any], reduced: bool
) -> tuple[list[Any], FloatArray]:
    """Return the names of a factor's columns and the (levels, columns) matrix that codes them."""
    if contrasts is TREATMENT:
        return list(levels[reduced:]), np.eye(len(levels))[:, int(reduced) :]
    try:
        coding = contrasts.get_coding_matrix(levels, reduced_rank=reduced)
    except ValueError as error:
        raise DesignError(
            f"the contrasts given for column '{name}' do not fit its {len(levels)} levels: they "
            "need one row for each level"
        ) from error
    matrix = np.asarray(coding, dtype=np.float64)
    return list(contrasts.get_coding_column_names(levels, reduced_rank=reduced)), matrix


def _encode_factor(
    name: str, codes: npt.NDArray[Any], levels: list[Any], contrasts: Contrasts, reduced: bool
) -> dict[Any, FloatArray]:
    """Return the columns of a factor by the name of each contrast; NaN where a code is -1."""
    fields, matrix = _coding(name, contrasts, levels, reduced)
    if codes.size and codes.min() < 0:
        matrix = np.vstack([matrix, np.full((1, matrix.shape[1]), np.nan)])
    columns = np.ascontiguousarray(matrix.T)
    return {field: column[codes] for field, column in zip(fields, columns, strict=True)}


def _with_levels(values: pd.Series[Any], levels: Sequence[Any]) -> Any:
    """Code values by given levels, -1 where they have another or none."""
    own = pd.Categorical(values)
    places = np.append(pd.Index(levels).get_indexer(own.categories), -1)
    return pd.Categorical.from_codes(places[own.codes], categories=pd.Index(levels))


def _check_levels(name: str, values: pd.Series[Any], factor: Any) -> None:
    """Refuse values that are not among the levels a factor was coded with."""
    unknown = values[np.asarray(factor.codes < 0) & values.notna().to_numpy()]
    if unknown.empty:
        return
    labels = ", ".join(repr(label) for label in unknown.unique()[:5].tolist())
    known = ", ".join(repr(label) for label in factor.categories[:12].tolist())
    known += ", ..." if len(factor.categories) > 12 else ""
    raise DesignError(
        f"'{name}' has levels the model was not fitted to: {labels} in {len(unknown)} rows; "
        f"a fixed effect cannot be predicted for them (it has {known})"
    )


# --------------------------------------------------------------------- formulaic's materializer


class DesignMaterializer(PandasMaterializer):  # type: ignore[misc]
    """Formulaic's pandas materializer with R's treatment of booleans and ordered factors.

    Booleans are factors, ordered categoricals get polynomial contrasts, and contrasts can be set by
    column (parameter ``contrasts``: column name to formulaic's contrasts).
    """

    REGISTER_NAME = "crossnest"
    REGISTER_INPUTS: Sequence[str] = ()
    REGISTER_OUTPUTS: Sequence[str] = ("numpy", "pandas", "sparse")
    REGISTER_PRECEDENCE = 0

    @override
    def _is_categorical(self, values: Any) -> bool:
        return getattr(values, "dtype", None) == np.bool_ or super()._is_categorical(values)

    @override
    def _encode_categorical(
        self,
        values: Any,
        metadata: Any,
        encoder_state: dict[str, Any],
        spec: ModelSpec,
        drop_rows: Sequence[int],
        reduced_rank: bool = False,
    ) -> Any:
        series = pd.Series(values.__wrapped__ if isinstance(values, FactorValues) else values)
        known = encoder_state.get("categories")
        factor = pd.Categorical(series) if known is None else _with_levels(series, known)
        if drop_rows:
            factor = factor[np.delete(np.arange(len(factor)), drop_rows)]
            series = series.drop(series.index[list(drop_rows)])
            if "categories" not in encoder_state:
                factor = factor.remove_unused_categories()
        _check_levels(str(series.name), series, factor)
        levels = factor.categories.tolist()
        if "contrasts" in encoder_state:
            contrasts = encoder_state["contrasts"].contrasts
        else:
            own = self.params.get("contrasts", {}).get(series.name)
            contrasts = own or _default_contrasts(bool(factor.ordered))
        encoder_state["categories"] = levels
        encoder_state["contrasts"] = ContrastsState(contrasts, levels)
        return FactorValues(
            _encode_factor(str(series.name), factor.codes, levels, contrasts, reduced_rank),
            kind="categorical",
            spans_intercept=not reduced_rank,
            format=contrasts.get_factor_format(levels, reduced_rank=reduced_rank),
            encoded=True,
        )

    @override
    def _combine_columns(
        self, cols: Sequence[tuple[str, Any]], spec: ModelSpec, drop_rows: Sequence[int]
    ) -> Any:
        if spec.output != "numpy":
            return super()._combine_columns(cols, spec, drop_rows)
        out = np.empty((self.nrows - len(drop_rows), len(cols)), order="F")
        for j, (_, column) in enumerate(cols):
            out[:, j] = column
        return out


# ------------------------------------------------------------- designs of data columns only


@lru_cache(maxsize=512)
def _structure(
    effects: Effects, factors: frozenset[str]
) -> tuple[tuple[float, tuple[tuple[str, bool], ...]], ...]:
    """Ask formulaic which products of columns make up the matrix of `effects`.

    Returns
    -------
    tuple
        For each product its scale and its variables, each with whether a factor's coding is reduced
        (contrasts) or full (one column a level). `factors` says which variables are factors.
    """
    names = {
        name for factor in effects.factors for name in factor_names(factor)
    } - TRANSFORMS.keys()
    row = {n: pd.Categorical(["a"], ["a", "b"]) if n in factors else [1.0] for n in sorted(names)}
    materializer = DesignMaterializer(pd.DataFrame(row, index=[0]))
    with np.errstate(all="ignore"):
        spec = materializer.get_model_matrix(effects.formula, output="numpy").model_spec
    return tuple(
        (scoped.scale, tuple((f.factor.expr, f.reduced) for f in scoped.factors))
        for term in spec.structure
        for scoped in term.scoped_terms
    )


def evaluate_plain(
    parsed: ParsedFormula, columns: Mapping[str, Column]
) -> dict[str, Column] | None:
    """Evaluate the expressions of a plain formula by themselves.

    Returns
    -------
    dict or None
        The columns and the values of the expressions, by name and code; None where an expression
        takes something else than numbers or gives a missing value, which is left to formulaic.
    """
    out = dict(columns)
    numbers = {n: c.values for n, c in columns.items() if isinstance(c, NumericColumn)}
    for expression in parsed.expressions:
        if any(name in columns and name not in numbers for name in names_in(expression)):
            return None
        with np.errstate(all="ignore"):
            values = np.asarray(evaluate_elementwise(expression, numbers))
        if values.ndim != 1 or np.isnan(values).any():
            return None
        out[expression] = NumericColumn(values)
    return out


class PlainMatrices:
    """Maker of model matrices whose terms are products of data columns.

    Parameters
    ----------
    columns
        The complete columns, by name, and the values of expressions, by their code.
    contrasts
        Contrasts by column; R's defaults for the others.
    """

    def __init__(self, columns: Mapping[str, Column], contrasts: Mapping[str, Contrasts]) -> None:
        self._columns = columns
        self._contrasts = contrasts
        self._factors = frozenset(
            name for name, column in columns.items() if isinstance(column, FactorColumn)
        )
        self._encoded: dict[tuple[str, bool], list[tuple[str, FloatArray]]] = {}

    def make(self, effects: Effects) -> Matrix:
        """Return the model matrix of `effects`."""
        factors = self._factors.intersection(f.expr for f in effects.factors)
        names: list[str] = []
        columns: list[FloatArray | None] = []
        for scale, product in _structure(effects, factors):
            if not product:
                names.append(INTERCEPT_NAME)
                columns.append(None)
                continue
            for name, values in self._product(product):
                names.append(name)
                columns.append(values if scale == 1 else scale * values)
        return Matrix(tuple(names), tuple(columns))

    def _product(self, product: tuple[tuple[str, bool], ...]) -> list[tuple[str, FloatArray]]:
        """Multiply variables out, the first one's columns varying fastest, as R does."""
        out = self._encode(*product[0])
        for variable in product[1:]:
            out = [
                (f"{name}:{other}", values * others)
                for other, others in self._encode(*variable)
                for name, values in out
            ]
        return out

    def _encode(self, name: str, reduced: bool) -> list[tuple[str, FloatArray]]:
        """Return the named columns of one variable."""
        column = self._columns[name]
        if isinstance(column, NumericColumn):
            return [(name, column.values)]
        if not isinstance(column, FactorColumn):
            raise DesignError(
                f"column '{name}' holds neither numbers nor labels: convert it, or use it in an "
                "expression that gives numbers"
            )
        if (name, reduced) not in self._encoded:
            contrasts = self._contrasts.get(name) or _default_contrasts(column.ordered)
            levels = column.levels.tolist()
            pattern = contrasts.get_factor_format(levels, reduced_rank=reduced)
            coded = _encode_factor(name, column.codes, levels, contrasts, reduced)
            self._encoded[name, reduced] = [
                (pattern.format(name=name, field=field), values) for field, values in coded.items()
            ]
        return self._encoded[name, reduced]


# ------------------------------------------------------------------------------ by formulaic


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A formula evaluated by formulaic.

    Attributes
    ----------
    response
        (n,) the response.
    fixed
        X.
    random
        The columns of each random-effects term.
    offset
        (n,) sum of the ``offset(...)`` terms, or None.
    groups
        The grouping variables that are expressions, rows not yet dropped.
    dropped
        Positions of rows in which an expression gave a missing value, increasing.
    specs
        Formulaic's model specs: ``response``, ``fixed``, ``random`` and ``offset`` (tuples).
    """

    response: FloatArray
    fixed: Matrix
    random: tuple[Matrix, ...]
    offset: FloatArray | None
    groups: dict[str, FactorColumn]
    dropped: npt.NDArray[np.intp]
    specs: ModelSpecs


def to_frame(parsed: ParsedFormula, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Return columns as the data frame formulaic evaluates a formula in."""
    uses: dict[str, Use] = {}
    for expression in parsed.expressions:
        coded = name_coded_in(expression)
        for name in names_in(expression):
            kind: Use = "levels" if name == coded and uses.get(name) != "numbers" else "numbers"
            uses[name] = kind
    return pd.DataFrame(
        {name: column.to_pandas(uses.get(name, "column")) for name, column in columns.items()}
    )


def structured(parsed: ParsedFormula) -> Formula:
    """Return all parts of a formula as one, so that formulaic evaluates everything jointly."""
    return Formula(
        response=[Term([parsed.response])],
        fixed=parsed.fixed.formula,
        random=tuple(term.effects.formula for term in parsed.random),
        offset=tuple(Formula([Term([factor])]) for factor in parsed.offsets),
    )


def _matrix(model_matrix: Any) -> Matrix:
    """Return a formulaic matrix by columns, the constant marked as such."""
    array, spec = model_matrix.__wrapped__, model_matrix.model_spec
    names: list[str] = []
    constant: list[bool] = []
    for term in spec.structure:
        is_constant = [not scoped.factors for scoped in term.scoped_terms]
        names += term.columns
        constant += (
            is_constant if len(is_constant) == len(term.columns) else [False] * len(term.columns)
        )
    return Matrix(
        tuple(INTERCEPT_NAME if one else name for name, one in zip(names, constant, strict=True)),
        tuple(None if one else array[:, j] for j, one in enumerate(constant)),
        array,
    )


def _group_factors(
    parsed: ParsedFormula, materializer: DesignMaterializer
) -> dict[str, FactorColumn]:
    """Evaluate the grouping variables that are expressions, as ``C(g)``."""
    out = {}
    for call in sorted(parsed.group_calls):
        values = stateful_eval(call, materializer.layered_context, None, {}, ModelSpec([]))
        values = values.__wrapped__ if isinstance(values, FactorValues) else values
        out[call] = as_factor(values.values if isinstance(values, pd.Series) else values, call)
    return out


def _response_values(parsed: ParsedFormula, model_matrix: Any) -> FloatArray:
    """Return the response as a vector; refuse one that is not a single numeric column."""
    array, spec = model_matrix.__wrapped__, model_matrix.model_spec
    kinds = {kind.value for kind, _ in spec.encoder_state.values()}
    if "categorical" in kinds or array.shape[1] != 1:
        raise DesignError(
            f"the response '{parsed.response_name}' must be one numeric column: "
            f"it gives {'labels' if 'categorical' in kinds else f'{array.shape[1]} columns'}"
        )
    response: FloatArray = array[:, 0]
    return response


def _first_line(error: Exception) -> str:
    """Return a message without formulaic's coloured source line under it."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def evaluate(
    parsed: ParsedFormula, columns: Mapping[str, Column], contrasts: Mapping[str, Contrasts]
) -> Evaluated:
    """Evaluate every part of a formula by formulaic, in one pass over its expressions.

    Parameters
    ----------
    parsed
        The formula.
    columns
        The columns it uses, by name, without missing values.
    contrasts
        Contrasts by column; R's defaults for the others.

    Raises
    ------
    DesignError
        If an expression cannot be evaluated on these columns.
    """
    materializer = DesignMaterializer(to_frame(parsed, columns), contrasts=dict(contrasts))
    dropped: set[int] = set()
    try:
        groups = _group_factors(parsed, materializer)
        for factor in groups.values():
            dropped.update(np.flatnonzero(factor.codes < 0).tolist())
        with np.errstate(divide="ignore", invalid="ignore"):
            matrices = materializer.get_model_matrix(
                structured(parsed), drop_rows=dropped, output="numpy", na_action="drop"
            )
    except DesignError:
        raise
    except (FormulaicError, TypeError, ValueError, NameError, AttributeError, KeyError) as error:
        message = f"cannot evaluate `{parsed.text}` on the data: {_first_line(error)}"
        raise DesignError(message) from error
    offsets = [matrix.__wrapped__[:, 0] for matrix in matrices.offset]
    return Evaluated(
        _response_values(parsed, matrices.response),
        _matrix(matrices.fixed),
        tuple(_matrix(matrix) for matrix in matrices.random),
        reduce(np.add, offsets) if offsets else None,
        groups,
        np.array(sorted(dropped), dtype=np.intp),
        matrices.model_spec,
    )


def _check_called_levels(parsed: ParsedFormula, spec: ModelSpec, frame: pd.DataFrame) -> None:
    """Refuse levels of factors that are expressions, as ``C(g)``, that were not fitted."""
    context = DesignMaterializer(frame).layered_context
    for name, (kind, state) in spec.encoder_state.items():
        if kind is not Factor.Kind.CATEGORICAL or name not in parsed.expressions:
            continue
        values = stateful_eval(name, context, None, spec.transform_state, spec)
        values = pd.Series(values.__wrapped__ if isinstance(values, FactorValues) else values)
        _check_levels(name, values, _with_levels(values, state["categories"]))


def evaluate_spec(parsed: ParsedFormula, spec: ModelSpec, frame: pd.DataFrame) -> Matrix:
    """Evaluate one part of a fitted formula on other data, its transforms as they were fitted.

    Parameters
    ----------
    parsed
        The formula, for messages.
    spec
        Formulaic's model spec of the part.
    frame
        Complete data, as `to_frame` gives them. An expression may still give NaN.

    Raises
    ------
    DesignError
        If a factor has a level it was not fitted with, or the part cannot be evaluated.
    """
    try:
        with np.errstate(all="ignore"):
            _check_called_levels(parsed, spec, frame)
            return _matrix(spec.get_model_matrix(frame, output="numpy", na_action="ignore"))
    except DesignError:
        raise
    except (FormulaicError, TypeError, ValueError, NameError, AttributeError, KeyError) as error:
        message = f"cannot evaluate `{parsed.text}` on the new data: {_first_line(error)}"
        raise DesignError(message) from error


def evaluate_groups(parsed: ParsedFormula, frame: pd.DataFrame) -> dict[str, FactorColumn]:
    """Evaluate the grouping variables that are expressions on other data."""
    return _group_factors(parsed, DesignMaterializer(frame))


def _one_row(column: Column) -> Column:
    """Return one row of a column, with all its levels."""
    if isinstance(column, FactorColumn):
        return FactorColumn(np.zeros(1, dtype=np.int32), column.levels, column.ordered)
    return NumericColumn(np.ones(1))


@dataclass(frozen=True, eq=False)
class Prototype:
    """What formulaic needs to know of the data to describe a plain design: kinds and levels.

    Attributes
    ----------
    formula
        The parsed formula, of data columns only.
    columns
        One row of each variable, with all its levels.
    contrasts
        Contrasts by column.
    """

    formula: ParsedFormula
    columns: dict[str, Column]
    contrasts: dict[str, Contrasts]

    @classmethod
    def of(
        cls,
        formula: ParsedFormula,
        columns: Mapping[str, Column],
        contrasts: Mapping[str, Contrasts],
    ) -> Prototype:
        """Take one row of every column."""
        rows = {name: _one_row(column) for name, column in columns.items()}
        return cls(formula, rows, dict(contrasts))

    def specs(self) -> ModelSpecs:
        """Return the model specs formulaic would have given for the whole data."""
        with np.errstate(all="ignore"):
            return evaluate(self.formula, self.columns, self.contrasts).specs
