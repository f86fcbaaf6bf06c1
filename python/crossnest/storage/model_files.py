"""Save a fitted model to a file without its data, and load it again.

What is written does not grow with the number of observations n. With p fixed effects, q random
effects and m variance parameters: the estimates and what describes the formula, O(p^2 + q); what
the degrees of freedom need, O(p^2 m^2); what standard errors of predictions with random effects
need, O(p q).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from .._core import FitError
from ..base.arguments import as_list, check_flag, check_path, choice
from ..base.ddf_methods import DDF_ALIASES
from ..data.columns import Column, FactorColumn, NumericColumn, OtherColumn
from ..design.design import Design, RandomEffects
from ..design.grouping import GroupingFactor
from ..diagnostics.goodness import components
from ..fit.control import Control
from ..fit.engine_results import (
    conditional_covariances,
    engine_curvature,
    engine_information,
    factor_blocks,
)
from ..fit.fit import Fit
from ..fit.fitted_model import FittedModel
from ..fit.joint_covariance import Between, JointCovariance, measure
from ..fit.known import Known, VarianceComponents
from ..fit.labels import Labels
from ..fit.residuals import scaled_quantiles
from ..fit.theta import theta_bounds
from ..formula.formula import ParsedFormula, parse_formula
from .archive import blaming_the_file, read_archive, write_archive
from .encoder_state import decode_encoders, encode_encoders, encode_kind
from .saved_model import check_model, check_text

__all__ = ["read_model", "save"]

Method = Literal["satterthwaite", "kenward-roger", "kenward-roger-observed"]
#: Which pieces of a file a method needs: both kinds of information are computed from one.
PIECES: Mapping[Method, str] = {
    "satterthwaite": "satterthwaite",
    "kenward-roger": "kenward-roger",
    "kenward-roger-observed": "kenward-roger",
}

#: Fields of a design that are kept as they are.
_DESIGN = (
    "x_names", "response_name", "n_rows", "n_missing", "n_zero_weight", "offset_source",
    "_term_order", "triangle",
)  # fmt: skip
#: Fields that are kept where they are None: a model without offset needs none.
_OPTIONAL: tuple[Literal["offset", "weights"], ...] = ("offset", "weights")
#: Fields of the estimates that have a value for each observation.
_LONG = ("fitted",)


def save(
    model: FittedModel,
    path: str | os.PathLike[str],
    ddf: Method | Sequence[Method] | None = None,
    covariances: bool = True,
) -> None:
    """Write a fitted model to a file, without the data.

    The file has arrays and text in it, and nothing that is executed when it is loaded. Saving a
    model that was itself loaded from a file keeps what that file had.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    path : str or path
        Where to. A file that is there is replaced.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed"} or sequence of them, optional
        Methods for the degrees of freedom the loaded model shall have; the others need nothing
        extra. By default all, as far as they can be computed; those named here must be. Either of
        Kenward and Roger's two brings the other with it.
    covariances : bool
        Whether to keep the covariances between random effects and with the fixed effects, for
        standard errors of predictions with random effects: p numbers a random effect. Of two
        crossed grouping factors those of all pairs of levels, if these are up to 100,000.

    Raises
    ------
    NotImplementedError
        If the formula uses functions of the user's own.
    ValueError
        If `ddf` names something else, or a method the model does not have.
    """
    check_flag(covariances, "covariances")
    check_path(path)
    if ddf is not None:
        ddf = [choice(method, "ddf", tuple(PIECES), DDF_ALIASES) for method in as_list(ddf)]
    encoders = encode_encoders(model.design.encoders)
    content = {
        **_encode_structure(model),
        **_encode_ddf(model, ddf),
        "formula": _encode_formula(model.design.formula),
        "encoders": encoders,
        "design": _encode_design(model.design),
        "fit": {
            item.name: getattr(model._fit, item.name)
            for item in dataclasses.fields(Fit)
            if item.name not in _LONG
        },
        "kept": model._kept,
        "relative_factors": model._relative_factors,
        "conditional": conditional_covariances(model),
        "joint": _encode_joint(model) if covariances else None,
        "quantiles": scaled_quantiles(model),
        "components": dataclasses.asdict(components(model)),
        "control": dataclasses.asdict(model.control),
        "labels": dataclasses.asdict(model.labels),
    }
    write_archive(path, content)


Model = TypeVar("Model", bound=FittedModel)


def read_model(path: str | os.PathLike[str], cls: type[Model]) -> Model:
    """Read a file written by `save`, as a model of the class given; see `crossnest.load`."""
    check_path(path)
    content = read_archive(path)
    with blaming_the_file(path):
        return _decode_model(content, cls)


# ------------------------------------------------------------------------------- encoding


def _encode_formula(parsed: ParsedFormula) -> dict[str, Any]:
    return {"text": parsed.text, "columns": parsed.columns}


def _encode_design(design: Design) -> dict[str, Any]:
    """Describe a design without its rows."""
    return {
        **{name: getattr(design, name) for name in _DESIGN},
        "n": design.n,
        "absent": [name for name in _OPTIONAL if not design.has(name)],
        "variables": {name: encode_kind(column) for name, column in design.variables.items()},
        "factors": [_encode_factor(factor) for factor in design.factors],
        "random": [{"factor": term.factor, "names": term.names} for term in design.random],
    }


def _encode_factor(factor: GroupingFactor) -> dict[str, Any]:
    names = ("name", "n_levels", "variables", "positions")
    return {name: getattr(factor, name) for name in names}


def _encode_structure(model: FittedModel) -> dict[str, Any]:
    lower, _ = theta_bounds(model.design)
    return {"structure": factor_blocks(model), "lower_bounds": lower}


def _encode_ddf(model: FittedModel, ddf: Sequence[Method] | None) -> dict[str, Any]:
    """Compute what the degrees of freedom need; by default what is possible."""
    out: dict[str, Any] = {}
    asked = set(PIECES.values() if ddf is None else (PIECES[method] for method in ddf))
    for pieces in dict.fromkeys(PIECES.values()):
        out[pieces] = None
        if pieces not in asked:
            continue
        try:
            out[pieces] = dict(_ddf_pieces(model, pieces))
        except (MemoryError, FitError, ValueError):
            if ddf is not None:
                raise
    return out


def _ddf_pieces(model: FittedModel, pieces: str) -> Mapping[str, Any]:
    if pieces == "satterthwaite":
        return engine_curvature(model)
    if not model.reml:
        raise ValueError("Kenward and Roger's method requires a fit by REML")
    return engine_information(model)


def _encode_joint(model: FittedModel) -> dict[str, Any] | None:
    joint = measure(model) if model._known is None else model._known.joint
    if joint is None:
        return None
    between = [{f.name: getattr(b, f.name) for f in dataclasses.fields(b)} for b in joint.between]
    return {"V": joint.V, "within": joint.within, "between": between}


# ------------------------------------------------------------------------------- decoding


def _decode_model(content: Mapping[str, Any], cls: type[Model]) -> Model:
    # A file from elsewhere may hold anything.
    check_text(content)
    parsed = parse_formula(content["formula"]["text"], content["formula"]["columns"])
    check_model(content, parsed)
    design = _decode_design(parsed, content)
    joint = content["joint"]
    known = Known(
        quantiles=content["quantiles"],
        components=VarianceComponents(**content["components"]),
        structure=content["structure"],
        lower_bounds=content["lower_bounds"],
        relative_factors=content["relative_factors"],
        conditional=content["conditional"],
        joint=None if joint is None else _decode_joint(joint),
        satterthwaite=content["satterthwaite"],
        kenward_roger=content["kenward-roger"],
    )
    return cls(
        design=design,
        control=Control(**content["control"]),
        labels=Labels(**content["labels"]),
        _live_engine=None,
        _fit=Fit.without_rows(**content["fit"]),
        _kept=content["kept"],
        _known=known,
    )


def _decode_design(parsed: ParsedFormula, content: Mapping[str, Any]) -> Design:
    tree = content["design"]
    order = tree["_term_order"]
    random = [
        RandomEffects.without_rows(term=parsed.random[i], factor=one["factor"], names=one["names"])
        for i, one in zip(order, tree["random"], strict=True)
    ]
    design = Design.without_rows(
        **{name: tree[name] for name in _DESIGN},
        **dict.fromkeys(tree["absent"]),
        n=tree["n"],
        formula=parsed,
        factors=tuple(GroupingFactor.without_rows(**factor) for factor in tree["factors"]),
        random=tuple(random),
        variables={name: _decode_kind(kind) for name, kind in tree["variables"].items()},
        encoders=decode_encoders(parsed, content["encoders"]),
    )
    _check_columns(design)
    return design


def _check_columns(design: Design) -> None:
    """Compare the columns the formula and the encoders make with those there are estimates of."""
    made = [design.coding, *(design.coding_of(term.term) for term in design.random)]
    kept = [design.x_names, *(term.names for term in design.random)]
    for coding, names in zip(made, kept, strict=True):
        if len(coding.names) != len(names):
            raise ValueError(f"the formula makes {len(coding.names)} columns, not {len(names)}")


def _decode_kind(tree: Mapping[str, Any]) -> Column:
    """Make a variable without values."""
    if tree["kind"] == "labels":
        return FactorColumn.without_rows(levels=tree["levels"], ordered=tree["ordered"])
    if tree["kind"] == "numbers":
        return NumericColumn.without_rows(integer=tree["integer"])
    return OtherColumn.without_rows()


def _decode_joint(tree: Mapping[str, Any]) -> JointCovariance:
    between = tuple(Between(**one) for one in tree["between"])
    return JointCovariance(tree["V"], tree["within"], between)
