"""One hypothesis has one F, one pair of degrees of freedom and one p-value, whoever tests it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_anova_of_terms import model_of

import crossnest
import strategies  # noqa: F401  (loads the hypothesis profile)
from crossnest.inference.anova_hypotheses import hypothesis_matrices
from crossnest.inference.canonical_rows import CanonicalRows, Restriction

CODINGS = ["contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.SAS"]
FIXED = ["a + b", "a * b", "b * a + x", "a * x + b", "0 + a + b", "0 + b + a * x", "a + x + b:x"]
MODCOMP = {"satterthwaite": crossnest.sat_modcomp, "kenward-roger": crossnest.kr_modcomp}
RANDOM = ["(1 | g)", "(x | g)", "(x || g)", "(1 | g) + (1 | h)"]


def quietly(formula, data, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        return crossnest.lmer(formula, data, **arguments)


@dataclass(frozen=True)
class Case:
    """A model of two unbalanced factors and a covariate, in any contrasts."""

    formula: str
    contrasts: dict[str, str]
    levels: int
    n: int
    shift: float
    seed: int

    def fit(self):
        """Draw the data and fit the model; no cell is empty."""
        rng = np.random.default_rng(self.seed)
        levels = {"a": list("pqrs")[: self.levels], "b": list("uvw")}
        data = pd.DataFrame({"x": rng.normal(size=self.n) + self.shift})
        for name, labels in levels.items():
            share = rng.dirichlet(np.full(len(labels), 2.0)) + 0.1
            data[name] = rng.choice(labels, self.n, p=share / share.sum())
        cells = pd.MultiIndex.from_product(levels.values()).to_frame().to_numpy()
        data.loc[: len(cells) - 1, list(levels)] = cells
        group, other = rng.integers(0, 8, self.n), rng.integers(0, 5, self.n)
        data["g"], data["h"] = group.astype(str), other.astype(str)
        slopes = rng.normal(size=8)[group] * data["x"]
        noise = rng.normal(size=self.n) + rng.normal(size=5)[other]
        data["y"] = noise + rng.normal(size=8)[group] + slopes
        return quietly(self.formula, data, contrasts=self.contrasts)


cases = st.builds(
    Case,
    formula=st.builds("y ~ {} + {}".format, st.sampled_from(FIXED), st.sampled_from(RANDOM)),
    contrasts=st.fixed_dictionaries({name: st.sampled_from(CODINGS) for name in "ab"}),
    levels=st.integers(2, 4),
    n=st.integers(50, 120),
    shift=st.sampled_from([0.0, 3.0]),
    seed=st.integers(0, 2**20),
)


@dataclass
class Answers:
    """The tests of one hypothesis by several verbs: (F, ndf, ddf, p) by what was asked."""

    found: dict[str, tuple[float, ...]]

    def add(self, verb: str, table: pd.DataFrame, row: object = 0) -> None:
        """Take a row of a table, by label or position."""
        line = table.iloc[row] if isinstance(row, int) else table.loc[row]
        names = {"F.ratio": "F value", "df1": "NumDF", "df2": "DenDF", "p.value": "Pr(>F)"}
        line = line.rename(names)
        self.found[verb] = tuple(float(line[c]) for c in ("F value", "NumDF", "DenDF", "Pr(>F)"))

    def check(self, term: str) -> None:
        first = next(iter(self.found.values()))
        for values in self.found.values():
            message = f"{term}: {self.found}"
            np.testing.assert_allclose(values, first, rtol=1e-8, atol=1e-14, err_msg=message)


def answers(model, term: str, ddf: str, rng: np.random.Generator) -> Answers:
    """Ask every verb that can test a term as type III does."""
    L = hypothesis_matrices(model, 3)[term]
    tables = {type: model.anova(type, ddf=ddf) for type in (1, 2, 3)}
    out = Answers({})
    out.add("anova(3)", tables[3], term)
    mixed = rng.normal(size=(len(L), len(L))) @ L * 10.0 ** rng.integers(-3, 4)
    out.add("contest", model.contest(mixed, ddf=ddf))
    out.add("contest, redundant", model.contest(np.vstack([L, mixed]), ddf=ddf))
    terms = list(tables[3].index)
    numeric = {"x"}
    # Without an intercept the means of the first factor are at other levels of b by its contrasts.
    means = model.formula.startswith(f"y ~ 0 + {term}")
    margin = not means and not any(set(term.split(":")) < set(other.split(":")) for other in terms)
    if margin:
        out.add("drop1", model.drop1(term, test="F", ddf=ddf), term)
        modcomp = MODCOMP.get(ddf)
        if modcomp:
            out.add("modcomp", modcomp(model, L))
        # Without an intercept what is left may be coded anew, which is refused.
        if modcomp and not model.formula.startswith("y ~ 0"):
            out.add("modcomp by formula", modcomp(model, f"~ . - {term}"))
        out.add("anova(2)", tables[2], term)
        if term == terms[-1]:
            out.add("anova(1)", tables[1], term)
    crosses = any(term in t.split(":") and numeric & set(t.split(":")) for t in terms)
    if term in ("a", "b") and not crosses and not means:
        out.add("emmeans", model.emmeans(term, ddf=ddf).joint_test())
    if len(L) == 1:
        single = model.contest(L, joint=False, ddf=ddf).iloc[0]
        F = single["t value"] ** 2
        out.found["t"] = (F, 1.0, float(single["df"]), float(single["Pr(>|t|)"]))
        if np.count_nonzero(L) == 1:
            table = model.summary(ddf=ddf).coef_table.iloc[int(np.flatnonzero(L)[0])]
            F = table["t value"] ** 2
            out.found["summary"] = (F, 1.0, float(table["df"]), float(table["Pr(>|t|)"]))
    return out


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "residual"])
@settings(max_examples=int(0.4 * settings().max_examples))
@given(case=cases)
def test_every_verb_gives_the_same_test(ddf, case):
    model, rng = case.fit(), np.random.default_rng(case.seed)
    for term in hypothesis_matrices(model, 3):
        answers(model, term, ddf, rng).check(term)


@pytest.mark.parametrize("type", [1, 2])
@settings(max_examples=int(0.2 * settings().max_examples))
@given(case=cases)
def test_hypotheses_of_types_one_and_two_may_be_written_in_any_way(type, case):
    model, rng = case.fit(), np.random.default_rng(case.seed)
    table = model.anova(type)
    for term, L in hypothesis_matrices(model, type).items():
        found = Answers({})
        found.add("anova", table, term)
        found.add("contest", model.contest(rng.normal(size=(len(L), len(L))) @ L))
        found.check(term)


@given(case=cases)
@settings(max_examples=int(0.4 * settings().max_examples))
def test_canonical_rows_depend_on_what_is_spanned_alone(case):
    model, rng = case.fit(), np.random.default_rng(case.seed)
    p, RX = len(model.fixef), model._fit.RX
    q = int(rng.integers(1, p + 1))
    L = rng.normal(size=(q, p)) * (rng.random((q, p)) < 0.6)
    rows = CanonicalRows(model)
    first = Restriction.of(L, 0.0, RX)
    if not len(first.directions):
        return
    same = rows.of(Restriction.of(rng.normal(size=(q, q)) @ L, 0.0, RX))
    found = rows.of(first)
    np.testing.assert_allclose(same, found, rtol=1e-7, atol=1e-7)
    assert first.spans(Restriction.of(found, 0.0, RX))


def test_drop1_and_type_three_with_contrasts_that_sum_to_zero():
    """lmerTest's drop1 has its own rows there and other df than its anova; ours has anova's."""
    model = model_of("sum_contrasts")
    np.testing.assert_allclose(
        model.drop1(test="F").loc["a:b"], model.anova(3).loc["a:b"], rtol=1e-10
    )


def test_a_joint_test_is_the_same_after_relabelling_the_contrasts():
    """What type III tests does not depend on the coding, and so neither do its df."""
    data = crossnest.datasets.sleepstudy().iloc[7:]
    rng = np.random.default_rng(3)
    data["f"] = rng.choice(list("abc"), len(data), p=[0.6, 0.3, 0.1])
    formula = "Reaction ~ f + Days + (Days | Subject)"
    tests = [
        quietly(formula, data, contrasts={"f": coding}).emmeans("f", ddf="satterthwaite")
        for coding in CODINGS
    ]
    tables = [test.joint_test()[["df1", "df2", "F.ratio", "p.value"]] for test in tests]
    for table in tables[1:]:
        np.testing.assert_allclose(table, tables[0], rtol=1e-5)
