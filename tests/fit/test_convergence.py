"""The verdict on convergence: no false warning, no missed optimum, and numbers that are true."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crossnest
from conftest import fitted_model

_SCRIPT = Path(__file__).parents[2] / "benchmarks" / "convergence.py"


@pytest.fixture(scope="module")
def benchmark():
    """Load the benchmark, which draws designs and judges fits by restarts."""
    spec = importlib.util.spec_from_file_location("convergence_benchmark", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("first", [0, 297, 908])
def test_no_false_warning_and_no_missed_optimum(benchmark, first):
    for seed in range(first, first + 12):
        converged, excess = benchmark.judge(benchmark.varied(seed), seed)
        assert converged, seed
        assert excess < benchmark.SAME, seed


@pytest.mark.parametrize("seed", [59, 245, 963, 1282, 2261, 2392, 2641, 3899])
def test_local_minima_of_few_levels_with_weights_far_apart(benchmark, seed):
    # Each ended 1 to 68 above the best of ten restarts.
    converged, excess = benchmark.judge(benchmark.weighted(seed), seed)
    assert converged
    assert excess < benchmark.SAME


@pytest.mark.parametrize("seed", [1931, 2261, 3703])
def test_no_false_warning_where_large_numbers_cancel(benchmark, seed):
    # Rounding hides the last 1e-8: effects of crossed factors nearly cancel in the heaviest rows.
    converged, excess = benchmark.judge(benchmark.weighted(seed), seed)
    assert converged
    assert excess < benchmark.SAME


def test_refits_look_as_widely_as_the_fit(benchmark):
    case = benchmark.weighted(1282)
    model = crossnest.lmer(case.formula, case.data, weights=case.weights, reml=case.reml)
    many = model.refit_many(np.column_stack([model.design.y, 2 * model.design.y]))
    assert many.objective[0] == pytest.approx(model.objective, abs=1e-6)


def test_a_plain_fit_is_at_an_inner_minimum():
    model = fitted_model("sleepstudy")
    found = model.convergence
    assert found.converged is True
    assert found.predicted_decrease < model.control.tolerance
    assert found.gradient < 1e-4
    assert 0.05 < found.smallest_eigenvalue < 1.0
    assert found.multipliers.empty
    assert found.evaluations == model.opt.evaluations
    assert str(found).startswith("converged (predicted decrease below tolerance")
    assert "converge" not in str(model.summary()).replace("REML criterion at convergence", "")


def test_numbers_are_those_of_differences():
    for name in ("sleepstudy", "reference/pastes", "reference/machines"):
        model = fitted_model(name)
        theta = model.theta.to_numpy()
        steps = 1e-5 * np.maximum(np.abs(theta), 0.1) * np.eye(len(theta))
        H = np.array(
            [
                (model.gradient_at(theta + h) - model.gradient_at(theta - h)) / (2 * h.max())
                for h in steps
            ]
        )
        unit = 1 / np.sqrt(np.diag(H))
        eigenvalue = np.linalg.eigvalsh(unit[:, None] * (H + H.T) / 2 * unit)[0]
        assert model.convergence.smallest_eigenvalue == pytest.approx(eigenvalue, rel=1e-3), name


def test_multipliers_are_derivatives_in_the_variance_at_zero():
    model = fitted_model("reference/dyestuff2")
    assert model.theta.iloc[0] == 0
    h = 1e-3
    slope = (model.objective_at([h]) - model.objective_at([0.0])) / h**2
    found = model.convergence
    assert list(found.multipliers.index) == list(model.theta.index)
    assert found.multipliers.iloc[0] == pytest.approx(slope, rel=1e-4)
    assert found.multipliers.iloc[0] > 0
    assert found.gradient == 0
    assert np.isnan(found.smallest_eigenvalue)


def test_a_search_cut_short_says_so_in_one_line():
    data = crossnest.datasets.sleepstudy()
    control = crossnest.Control(max_evaluations=2)
    start = [100.0, 0.0, 100.0]
    with pytest.warns(crossnest.ConvergenceWarning, match="not converged after"):
        model = crossnest.lmer(
            "Reaction ~ Days + (Days | Subject)", data, start=start, control=control
        )
    assert model.convergence.converged is False
    assert model.convergence.gradient > 1e-3
    said = [line for line in str(model.summary()).split("\n") if "not converged" in line]
    assert len(said) == 1
    assert said[0].endswith("(too many evaluations)")


def test_what_counts_as_converged_is_below_the_tolerance():
    # Up to 1,000 times the tolerance counted where no lower point was found.
    data = crossnest.datasets.sleepstudy()
    for tolerance in (1e-3, 1e-6, 1e-9):
        model = crossnest.lmer(
            "Reaction ~ Days + (Days | Subject)",
            data,
            control=crossnest.Control(tolerance=tolerance),
        )
        assert model.converged
        assert model.opt.predicted_decrease < tolerance


@pytest.mark.parametrize("seed", [297, 302, 364, 616, 916])
def test_searches_that_got_stuck_reach_the_tolerance(benchmark, seed):
    case = benchmark.varied(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.SingularFitWarning)
        model = crossnest.lmer(case.formula, case.data, weights=case.weights, reml=case.reml)
    assert model.converged
    assert model.opt.predicted_decrease < 1e-9


def test_an_evaluation_carries_no_verdict(tmp_path):
    model = fitted_model("sleepstudy")
    moved = model.evaluate(model.theta * 2)
    assert moved.converged is None
    assert moved.opt.converged is None
    assert np.isnan(moved.opt.predicted_decrease)
    assert moved.convergence.converged is None
    assert moved.convergence.gradient > 1e-3
    assert str(moved.convergence).startswith("nothing optimized (theta as given")
    assert "evaluated at a given theta: nothing was optimized" in str(moved.summary())
    assert "not converged" not in str(moved.summary())
    assert pickle.loads(pickle.dumps(moved)).converged is None
    moved.save(tmp_path / "moved.crossnest")
    assert crossnest.load(tmp_path / "moved.crossnest").converged is None


def test_derivatives_that_cannot_be_computed_are_said_to_be_unknown():
    """LAPACK's "Eigenvalues did not converge" came through, at weights over fifty decades."""
    rng = np.random.default_rng(847)
    x, rows = rng.normal(size=24), np.arange(24)
    data = pd.DataFrame({"u": x > 0, "y": rng.normal(size=24), "g": rows // 4, "h": rows % 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        weights = 10.0 ** rng.uniform(-25, 25, 24)
        model = crossnest.lmer("y ~ u + (1 | g) + (0 + u | h)", data, weights=weights, reml=False)
    assert not model.converged
    assert np.isnan(model.convergence.smallest_eigenvalue)
