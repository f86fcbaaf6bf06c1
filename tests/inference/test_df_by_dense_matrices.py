"""Degrees of freedom from the engine and from n x n matrices, over random designs."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from test_one_hypothesis import cases
from test_satterthwaite import brute_force_df

from crossnest.inference.canonical_rows import CanonicalRows, Restriction
from crossnest.inference.ddf import tester as make_tester
from crossnest.inference.satterthwaite import f_denominator
from marginal import Marginal

SOME = settings(max_examples=int(0.4 * settings().max_examples))


def hypotheses(model, rng):
    """Return each coefficient, all of them, and some combinations."""
    p = len(model.fixef)
    return [*np.split(np.eye(p), p), np.eye(p)[1:], rng.normal(size=(2, p))]


@SOME
@given(case=cases)
def test_satterthwaite(case):
    model = case.fit()
    assume(not model.is_singular)
    used = make_tester(model, "satterthwaite")
    for L in hypotheses(model, np.random.default_rng(case.seed)):
        test = used.f_test(L)
        rows = L
        if len(L) > 1:
            rows = CanonicalRows(model).of(Restriction.of(L, 0.0, model._fit.RX))
            Phi = Marginal.of(model).Phi
            rows = np.linalg.eigh(rows @ Phi @ rows.T)[1].T @ rows
        df = f_denominator(brute_force_df(model, rows))
        np.testing.assert_allclose(test.den_df, df, rtol=1e-5)
        beta, vcov = model.fixef.to_numpy(), Marginal.of(model).Phi
        F = L @ beta @ np.linalg.solve(L @ vcov @ L.T, L @ beta) / len(L)
        np.testing.assert_allclose(test.statistic, F, rtol=1e-7)


@SOME
@given(case=cases)
def test_kenward_roger(case):
    model = case.fit()
    assume(not model.is_singular)
    marginal, used = Marginal.of(model), make_tester(model, "kenward-roger")
    W = marginal.varpar_vcov("expected")
    vcov = marginal.adjusted_vcov(W)
    np.testing.assert_allclose(used.vcov, vcov, rtol=1e-6, atol=1e-8 * np.abs(vcov).max())
    for L in hypotheses(model, np.random.default_rng(case.seed)):
        F, scaling, df = marginal.kenward_roger_f(L, model.fixef.to_numpy(), W)
        test = used.modified_f_test(L)
        found = [test.den_df, test.unscaled, test.scaling, test.statistic]
        np.testing.assert_allclose(found, [df, F, scaling, scaling * F], rtol=1e-6)
