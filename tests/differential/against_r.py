"""Fit random designs here and in R, and compare every table.

    python tests/differential/against_r.py [--designs 300] [--seed 1] [--batch 20]

R with lme4, lmerTest and pbkrtest is needed. R's criterion is the best of several optimizers. Where
the criteria differ, both theta are judged by the dense n x n likelihood of
`tests/helpers/oracle.py`; where only degrees of freedom of coefficients differ, both are judged by
the dense matrices of `tests/helpers/marginal.py`. A disagreement is printed with the design's
number: ``--only NUMBER`` repeats it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

import crossnest  # noqa: E402
from marginal import Marginal  # noqa: E402
from oracle import marginal_objective  # noqa: E402

# ------------------------------------------------------------------------------------- designs

FIXED = (
    "x",
    "f",
    "x + f",
    "f*x",
    "f*h",
    "f + h + x",
    "0 + f",
    "f/h",
    "f/x",
    "poly(x, 2)",
    "poly(x, 2)*f",
    "o",
    "o*x",
    "f:h",
    "x:f",
    "x + z",
    "x*z",
    "l + x",
    "l*f",
    "f + h",
    "f:h + x",
    "0 + f + x",
    "1",
    "h*x + z",
    "log(w)",
    "scale(x)*f",
    "x + I(x^2)",
    "f*h*x",
    "(f + h + l)^2",
    "f - 1",
    "x:f - 1",
)
RANDOM = (
    "(1 | g)",
    "(x | g)",
    "(0 + x | g)",
    "(x || g)",
    "(1 | a/b)",
    "(1 | g) + (1 | a)",
    "(f | g)",
    "(0 + f | g)",
    "(x | g) + (1 | a)",
    "(1 | g) + (0 + x | g)",
    "(1 | a:b)",
    "(x | a/b)",
    "(1 | g) + (1 | c)",
    "(h | c)",
    "(x + z | c)",
    "(1 | g) + (1 | a) + (1 | c)",
    "(0 + l | g)",
    "(o | c)",
    "(x:f | c)",
    "(poly(x, 2) | c)",
    "(1 | g:f)",
    "(x + f | c)",
    "(l | g) + (1 | c)",
)


@dataclass
class Drawn:
    """A data set and a model of it."""

    number: int
    formula: str
    data: pd.DataFrame
    reml: bool
    weighted: bool
    rows: np.ndarray  # to predict at, of few levels
    kr: bool


def drawn(seed: int, number: int) -> Drawn:
    """Draw a design."""
    rng = np.random.default_rng([seed, number])
    n = int(rng.integers(50, 150))
    data = pd.DataFrame(
        {
            "x": np.round(rng.normal(rng.choice([0, 3]), 1, n), 3),
            "z": np.round(rng.exponential(1, n), 3),
            "w": np.round(10 ** rng.uniform(-0.5, 0.5, n), 3),
            "f": rng.choice(list("ABCD")[: rng.integers(2, 5)], n),
            "h": rng.choice(["u", "v", "w"][: rng.integers(2, 4)], n),
            "o": rng.choice(["low", "mid", "high"], n),
            "l": rng.random(n) < 0.5,
            "g": [f"g{i}" for i in rng.integers(0, rng.integers(4, 12), n)],
            "a": [f"a{i}" for i in rng.integers(0, rng.integers(3, 7), n)],
            "b": [f"b{i}" for i in rng.integers(0, 3, n)],
            "c": [f"c{i}" for i in rng.integers(0, rng.integers(5, 15), n)],
        }
    )
    scale = rng.choice([0.0, 0.3, 1.0, 3.0])
    y = 2 + 0.5 * data.x + 0.4 * (data.f == "A") + rng.normal(size=n)
    for name in ("g", "a", "c"):
        codes, levels = pd.factorize(data[name])
        effects = scale * rng.normal(size=(len(levels), 2))
        y += effects[codes, 0] + 0.4 * effects[codes, 1] * data.x
    data["y"] = np.round(y, 4)
    formula = f"y ~ {rng.choice(FIXED)} + {rng.choice(RANDOM)}"
    kept = data.f.isin(rng.choice(data.f.unique(), 1)) & (rng.random(n) < 0.5)
    rows = np.flatnonzero(kept) if kept.any() else np.array([0])
    reml = bool(rng.random() < 0.7)
    return Drawn(
        number, formula, data, reml, bool(rng.random() < 0.2), rows, reml and rng.random() < 0.3
    )


# -------------------------------------------------------------------------------------- in R


def in_r(designs: list[Drawn], folder: Path) -> list[dict]:
    """Fit a batch of designs in one process of R."""
    jobs = []
    for design in designs:
        path = folder / f"{design.number}.csv"
        frame = design.data.assign(l=np.where(design.data.l, "TRUE", "FALSE"))
        frame.to_csv(path, index=False)
        jobs.append(
            {
                "data": str(path),
                "formula": design.formula,
                "reml": design.reml,
                "weights": design.weighted,
                "rows": design.rows.tolist(),
                "kr": bool(design.kr),
            }
        )
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = ["Rscript", str(HERE / "against_r.R"), "jobs.json", "answers.json"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return json.loads((folder / "answers.json").read_text())


# --------------------------------------------------------------------------------- comparison


UNEXPLAINED = "UNEXPLAINED"


@dataclass
class Comparison:
    """What differs between our fit of a design and R's."""

    design: Drawn
    differences: list[tuple[str, str, str]] = field(default_factory=list)
    compared: Counter = field(default_factory=Counter)

    def differ(self, what: str, how: str, cause: str = UNEXPLAINED) -> None:
        self.differences.append((what, how, cause))

    def numbers(self, what: str, ours, theirs, rtol: float, atol: float = 0.0, judge=None) -> bool:
        """Compare arrays; a judge says which side is right where they differ."""
        ours, theirs = (np.asarray(v, dtype=float).ravel() for v in (ours, theirs))
        self.compared[what] += 1
        if ours.shape != theirs.shape:
            self.differ(what, f"{ours.shape[0]} numbers here, {theirs.shape[0]} in R")
            return False
        close = np.isclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)
        if close.all():
            return True
        at = int(np.argmin(close))
        cause = UNEXPLAINED if judge is None else judge(at, ours[at], theirs[at])
        self.differ(what, f"{ours[at]:.8g} here, {theirs[at]:.8g} in R (number {at})", cause)
        return False


def python_formula(formula: str) -> str:
    """Write a formula of R as Python has it."""
    return formula.replace("I(x^2)", "I(x**2)")


def as_in_r(name: str) -> str:
    """Rewrite a column's name as R writes it."""
    name = re.sub(r"\[(?:T\.)?([^\]]*)\]", r"\1", name)
    return (
        name.replace(" ** ", "^")
        .replace("**", "^")
        .replace("True", "TRUE")
        .replace("False", "FALSE")
    )


def table(answer: dict, name: str) -> pd.DataFrame | str:
    """Return a table of R, or its error."""
    found = answer["tables"][name]
    if "error" in found:
        return found["error"]
    values = [[np.nan if v is None else v for v in column] for column in found["values"]]
    return pd.DataFrame(dict(enumerate(values)), index=found["rows"]).set_axis(
        found["columns"], axis=1
    )


def attempt(function):
    """Call a method; return its result or what it raises."""
    try:
        return function()
    except (ValueError, NotImplementedError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


def fit(design: Drawn):
    data = design.data.assign(o=pd.Categorical(design.data.o, ["low", "mid", "high"], ordered=True))
    weights = "w" if design.weighted else None
    return crossnest.lmer(
        python_formula(design.formula), data, reml=design.reml, weights=weights
    ), data


def dense_criterion(model, theta) -> float:
    """Evaluate the criterion of a model by n x n matrices."""
    m = Marginal.of(model)
    d = marginal_objective(m.X, m.y, m.weights, m.factors, m.terms, np.asarray(theta), m.reml)
    return float(d)


def compare_criterion(found: Comparison, model, answer: dict) -> bool:
    """Compare the optima; return whether they are the same."""
    found.compared["criterion"] += 1
    difference = model.objective - answer["criterion"]
    theirs = [np.nan if t is None else t for t in answer["theta"]]
    if len(theirs) != len(model.theta):
        found.differ("theta", f"{len(model.theta)} here, {len(theirs)} in R")
        return False
    if abs(difference) < 1e-5:
        return True
    dense = [dense_criterion(model, t) for t in (model.theta.to_numpy(), np.array(theirs))]
    cause = "R is the worse one (dense)" if dense[0] < dense[1] else "OURS IS THE WORSE ONE"
    if abs(dense[0] - model.objective) > 1e-6 * abs(dense[0]) + 1e-6:
        cause = "OUR CRITERION IS NOT THE DENSE ONE"
    elif abs(dense[1] - answer["criterion"]) > 1e-6 * abs(dense[1]) + 1e-6:
        cause += ", or the two X differ"
    found.differ(
        "criterion",
        f"{model.objective:.6f} here, {answer['criterion']:.6f} in R; dense {dense[0]:.6f} at our "
        f"theta, {dense[1]:.6f} at R's",
        cause,
    )
    return False


def compare_estimates(found: Comparison, model, data: pd.DataFrame, answer: dict) -> None:
    """Compare what follows from theta directly."""
    ours = model.fixef.rename(as_in_r)
    theirs = pd.Series(answer["fixef"], dtype=float)
    if set(ours.index) == set(theirs.index):
        theirs_se = pd.Series(answer["se"], index=theirs.index, dtype=float)[ours.index]
        scale = float(model.bse.max())
        found.numbers("fixef", ours, theirs[ours.index], 1e-4, 1e-4 * scale)
        found.numbers("se", model.bse, theirs_se, 1e-3)
    else:
        found.differ("names", f"{sorted(set(ours.index) ^ set(theirs.index))}")
    found.numbers("sigma", model.sigma, answer["sigma"], 1e-4)
    found.numbers("theta", model.theta, answer["theta"], 1e-2, 2e-2)
    found.numbers("AIC", model.aic, answer["aic"], 1e-7)
    found.numbers("BIC", model.bic, answer["bic"], 1e-7)
    scale = 1e-3 * model.sigma
    found.numbers("fitted", model.fittedvalues, answer["fitted"], 1e-4, scale)
    new = data.iloc[found.design.rows]
    for what, re_, key in (
        ("predict", "all", "predicted"),
        ("predict re=none", "none", "population"),
    ):
        got = attempt(lambda re_=re_: model.predict(new, re=re_))
        if isinstance(got, str):
            found.differ(what, f"raises {got}")
            continue
        if isinstance(answer[key], str):
            continue
        found.numbers(what, got, answer[key], 1e-4, scale)
        rows = found.design.rows
        if re_ == "all":
            found.numbers("predict = fitted", got, np.asarray(model.fittedvalues)[rows], 1e-9, 1e-9)
    compare_modes(found, model, answer, scale)


def compare_modes(found: Comparison, model, answer: dict, scale: float) -> None:
    for name, frame in model.ranef().items():
        theirs = answer["ranef"].get(name)
        if theirs is None:
            found.differ("ranef", f"'{name}' here, {list(answer['ranef'])} in R")
            continue
        values = np.array(theirs["values"], dtype=float)
        columns = [as_in_r(str(c)) for c in frame.columns]
        place = {label: i for i, label in enumerate(theirs["levels"])}
        labels = [str(label) for label in frame.index]
        if sorted(columns) != sorted(theirs["names"]) or sorted(labels) != sorted(place):
            found.differ("ranef", f"{columns} here, {theirs['names']} in R")
            continue
        order = [theirs["names"].index(c) for c in columns]
        values = values[[place[label] for label in labels]][:, order]
        found.numbers("ranef", frame.to_numpy(), values, 1e-3, 3 * scale)


SHARED = ("Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "npar", "logLik", "AIC", "LRT", "Df")


def better_search(sign: int):
    """Judge criteria of refits by which search ended lower: R's verbs use one optimizer."""

    def judge(at, ours, theirs):
        return "R's refit ends higher" if sign * ours < sign * theirs else "OUR REFIT ENDS HIGHER"

    return judge


def r_ends_higher(at, ours, theirs):
    """Judge differences of criteria none of which is lower in R."""
    return "R's refit ends higher"


#: Without the one term of `0 + f + (1 | g)` lme4's update has `(1 | g) - 1`: it fits an intercept.
LOSES_ITS_FIXED_PART = re.compile(r"y ~ (0 \+ \w+|\w+ - 1|x:f - 1) \+ \(")

JUDGES = {"AIC": better_search(1), "logLik": better_search(-1)}


def compare_table(found: Comparison, what: str, ours, theirs) -> None:
    """Compare tables row by row, on the columns that both have."""
    if isinstance(ours, str) or isinstance(theirs, str):
        if isinstance(ours, str) != isinstance(theirs, str):
            found.differ(what, f"here: {str(ours)[:150]!r}, in R: {str(theirs)[:150]!r}")
        return
    if list(ours.index) == ["<none>"]:
        return
    names = [as_in_r(str(row)) for row in ours.index]
    rows = [re.sub(r"\s+", "", str(row)) for row in theirs.index]
    ours = ours.set_axis([re.sub(r"\s+", "", name) for name in names])
    theirs = theirs.set_axis(rows)
    if sorted(ours.index) != sorted(theirs.index):
        found.differ(what, f"rows {list(ours.index)} here, {list(theirs.index)} in R")
        return
    theirs = theirs.loc[ours.index]
    tolerance = {"NumDF": 1e-9, "npar": 1e-9, "Df": 1e-9, "logLik": 1e-5, "AIC": 1e-5, "LRT": 1e-3}
    if "LRT" in ours and "LRT" in theirs:
        theirs["LRT"] = theirs["LRT"].where(theirs["LRT"] > -1e-6)  # here none is shown below 0
    for column in SHARED:
        if column in ours and column in theirs:
            rtol = tolerance.get(column, 5e-3)
            atol = 2e-4 if column in ("LRT", "AIC", "logLik") else 1e-6
            if column in ("Sum Sq", "Mean Sq", "F value"):
                atol = 1e-4
            values = ours[column], theirs[column]
            judge = JUDGES.get(column)
            if column == "LRT" and "AIC" in ours and np.all(ours["AIC"] < theirs["AIC"] + 1e-6):
                judge = r_ends_higher
            if not found.numbers(f"{what} {column}", *values, rtol, atol, judge):
                return


def satterthwaite_judge(model):
    """Judge a coefficient's degrees of freedom by dense matrices, with lmerTest's formula."""

    def judge(at, ours, theirs):
        marginal = Marginal.of(model)
        values, vectors = np.linalg.eigh(marginal.hessian)
        kept = values > 1e-8
        A = (vectors[:, kept] * (2 / values[kept])) @ vectors[:, kept].T
        gradient = marginal.jacobian[:, at, at]
        dense = 2 * marginal.Phi[at, at] ** 2 / (gradient @ A @ gradient)
        if abs(dense - ours) < 1e-4 * dense:
            return "lmerTest is off (dense)"
        return f"{UNEXPLAINED} (dense {dense:.6g})"

    return judge


def compare_tables(found: Comparison, model, answer: dict) -> None:
    """Compare summary, anova, ranova and drop1."""
    theirs = table(answer, "summary")
    if not isinstance(theirs, str):
        ours = model.summary().coef_table.rename(as_in_r)
        theirs = theirs.reindex(ours.index)
        found.numbers(
            "summary df", ours["df"], theirs["df"], 1e-2, judge=satterthwaite_judge(model)
        )
    for type_ in (1, 2, 3):
        if type_ == 2 and "scale(x)*f" in found.design.formula:
            continue  # lmerTest takes the matrix scale(x) for a factor that contains f
        ours = attempt(lambda type_=type_: model.anova(type_))
        compare_table(found, f"anova{type_}", ours, table(answer, f"anova{type_}"))
    compare_table(found, "ranova", attempt(model.ranova), table(answer, "ranova"))
    if not model.dropped:
        compare_table(
            found, "drop1 F", attempt(lambda: model.drop1(test="F")), table(answer, "drop1_F")
        )
        if not LOSES_ITS_FIXED_PART.match(found.design.formula):
            compare_table(found, "drop1 chisq", attempt(model.drop1), table(answer, "drop1_chisq"))
    if found.design.kr:
        compare_kenward_roger(found, model, answer)


def compare_kenward_roger(found: Comparison, model, answer: dict) -> None:
    """Compare Kenward and Roger's numbers with R's; with weights, which pbkrtest ignores, dense."""
    table_here = attempt(lambda: model.summary(ddf="kenward-roger").coef_table.rename(as_in_r))
    theirs = table(answer, "summary_kr")
    if isinstance(table_here, str) or isinstance(theirs, str):
        return
    if found.design.weighted:
        marginal = Marginal.of(model)
        W = marginal.varpar_vcov("expected")
        se = np.sqrt(np.diag(marginal.adjusted_vcov(W)))
        beta, p = model.fixef.to_numpy(), len(model.fixef)
        df = [marginal.kenward_roger_f(np.eye(p)[[j]], beta, W)[2] for j in range(p)]
        found.numbers("KR df (dense)", table_here["df"], df, 1e-4)
        found.numbers("KR se (dense)", table_here["Std. Error"], se, 1e-6)
        return
    theirs = theirs.reindex(table_here.index)
    found.numbers("KR df", table_here["df"], theirs["df"], 5e-3)
    found.numbers("KR se", table_here["Std. Error"], theirs["Std. Error"], 2e-3)
    ours = attempt(lambda: model.anova(3, ddf="kenward-roger"))
    compare_table(found, "anova3 KR", ours, table(answer, "anova3_kr"))


def explain_by_type(found: Comparison, model, answer: dict) -> None:
    """Name where a table takes the rows of a higher type: one hypothesis has one answer here.

    lmerTest's degrees of freedom of a joint test depend on the rows its hypothesis is written by,
    and its tables write the same one by different rows.
    """
    calls = {"anova1": lambda: model.anova(1), "anova2": lambda: model.anova(2)}
    calls["drop1 F"] = lambda: model.drop1(test="F")
    higher = [table(answer, name) for name in ("anova2", "anova3")]
    for what, call in calls.items():
        cause = (f"{what} DenDF", UNEXPLAINED)
        if cause not in [(where, why) for where, _, why in found.differences]:
            continue
        ours, theirs = attempt(call), table(answer, what.replace(" ", "_"))
        known = [one for one in (theirs, *higher) if not isinstance(one, str)]
        rows = zip([as_in_r(str(row)) for row in ours.index], ours["DenDF"], strict=True)
        if all(
            any(np.isclose(df, one["DenDF"].get(name, np.nan), rtol=5e-3) for one in known)
            for name, df in rows
        ):
            found.differences = [
                (where, how, "rows of a higher type" if (where, why) == cause else why)
                for where, how, why in found.differences
            ]


def explain_by_theta(found: Comparison, model, answer: dict) -> None:
    """Repeat what differs at R's theta: where the criterion is flat, the two may stop elsewhere."""
    if all(cause != UNEXPLAINED for _, _, cause in found.differences):
        return
    there = Comparison(found.design)
    compare_tables(there, model.evaluate(answer["theta"]), answer)
    still = {what for what, _, _ in there.differences}
    found.differences = [
        (
            what,
            how,
            "R's theta, not its table"
            if cause == UNEXPLAINED and what in there.compared and what not in still
            else cause,
        )
        for what, how, cause in found.differences
    ]


def compare(design: Drawn, answer: dict) -> Comparison:
    """Fit a design and compare it with R's answer."""
    found = Comparison(design)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        fitted = attempt(lambda: fit(design))
        if isinstance(fitted, str) or "error" in answer:
            if isinstance(fitted, str) != ("error" in answer):
                found.differ(
                    "fit", f"here: {str(fitted)[:200]}; in R: {answer.get('error', 'a fit')}"
                )
            return found
        model, data = fitted
        same = compare_criterion(found, model, answer)
        if same:
            compare_estimates(found, model, data, answer)
            compare_tables(found, model, answer)
            explain_by_theta(found, model, answer)
            explain_by_type(found, model, answer)
    return found


# --------------------------------------------------------------------------------------- main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=20, help="designs in one process of R")
    parser.add_argument("--only", type=int, help="a single design by its number")
    arguments = parser.parse_args()
    numbers = range(arguments.designs) if arguments.only is None else [arguments.only]
    designs = [drawn(arguments.seed, number) for number in numbers]
    compared: Counter = Counter()
    kinds: Counter = Counter()
    causes: Counter = Counter()
    for first in range(0, len(designs), arguments.batch):
        batch = designs[first : first + arguments.batch]
        with tempfile.TemporaryDirectory() as folder:
            answers = in_r(batch, Path(folder))
        for design, answer in zip(batch, answers, strict=True):
            found = compare(design, answer)
            compared.update(found.compared)
            for what, how, cause in found.differences:
                kinds[what] += 1
                causes[what, cause] += 1
                described = (
                    f"{design.formula}, n = {len(design.data)}, {'REML' if design.reml else 'ML'}"
                )
                described += ", weights" * design.weighted
                described += ", singular" * bool(answer.get("singular"))
                print(f"{design.number}: {what}: {how}: {cause}\n    {described}", flush=True)
    print(f"\n{len(designs)} designs, {sum(compared.values())} comparisons of numbers or tables")
    for what in sorted({*compared, *kinds}):
        print(f"{what:20} compared {compared[what]:5}, different {kinds[what]:4}")
    print()
    for (what, cause), number in sorted(causes.items()):
        print(f"{what:20} {number:4} {cause}")


if __name__ == "__main__":
    main()
