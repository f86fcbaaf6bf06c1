"""Covariance structures: glmmTMB's numbers, n x n matrices, and every verb on such models."""

from __future__ import annotations

import functools
import itertools
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.optimize

import crossnest
from crossnest._core import CovarianceStructure, covariance_structures
from crossnest.formula.formula import parse_formula
from crossnest.inference.ddf import tester as make_tester
from reference_cases import as_array

REFERENCES = ["sleep_ar1", "sleep_cs", "machines_cs", "machines_diag", "ovary_ar1"]
FORMULAS = {
    "cs": "score ~ Machine + cs(0 + Machine | Worker)",
    "homcs": "score ~ Machine + cs(0 + Machine | Worker, hom = TRUE)",
    "ar1": "score ~ Machine + ar1(0 + Machine | Worker)",
    "hetar1": "score ~ Machine + ar1(0 + Machine | Worker, hom = FALSE)",
    "homdiag": "score ~ Machine + diag(0 + Machine | Worker, hom = TRUE)",
    "mixed": "score ~ Machine + (1 | Worker) + ar1(0 + Machine | Worker)",
}
NAMES = list(FORMULAS)


FOLDER = Path(__file__).resolve().parents[1] / "expected" / "reference_structured"


def expected_of(name):
    """glmmTMB's results."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def data_of(name):
    """The data, factors with R's levels."""
    levels = expected_of(name)["levels"]
    data = pd.read_csv(FOLDER / f"{name}.csv.gz", dtype=dict.fromkeys(levels, str))
    for column, categories in levels.items():
        data[column] = pd.Categorical(data[column], categories=categories)
    return data


def machines():
    return data_of("machines_cs")


@functools.cache
def fitted(name, reml=True):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        if name in FORMULAS:
            return crossnest.lmer(FORMULAS[name], machines(), reml=reml)
        return crossnest.lmer(expected_of(name)["formula"], data_of(name), reml=reml)


# ------------------------------------------------------------------------- by n x n matrices


def covariance(name, k, theta):
    """The covariance matrix of one level's effects over sigma^2, from sd and rho."""
    if name == "unstructured":
        L = np.zeros((k, k))
        L.T[np.triu_indices(k)] = theta
        return L @ L.T
    free = {"diagonal": k, "homdiag": 1, "cs": k, "homcs": 1, "hetar1": k, "ar1": 1}[name]
    sd = np.broadcast_to(theta[:free], k)
    rho = theta[free] if len(theta) > free else 0.0
    lag = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    C = rho**lag if "ar1" in name else np.where(lag == 0, 1.0, rho)
    return np.outer(sd, sd) * C


class Matrices:
    """Var(y) = sigma^2 (Z S(theta) Z' + I) of a model without weights, and what follows."""

    def __init__(self, model):
        self.reml, self.y = model.reml, model.design.y
        self.X = model.model_matrix("fixed").to_numpy()
        self.Z = model.model_matrix("random")
        self.Z = np.asarray(self.Z.todense() if hasattr(self.Z, "todense") else self.Z)
        self.terms = []
        for term in model.design.random:
            k = len(term.names)
            count = CovarianceStructure(term.term.covariance, k).n_theta
            levels = model.design.factors[term.factor].n_levels
            self.terms.append((term.term.covariance, k, count, levels))

    def V(self, theta):
        blocks, first = [], 0
        for name, k, count, levels in self.terms:
            own = covariance(name, k, np.asarray(theta)[first : first + count])
            blocks.append(np.kron(np.eye(levels), own))
            first += count
        return self.Z @ scipy.linalg.block_diag(*blocks) @ self.Z.T + np.eye(len(self.y))

    def deviance(self, theta, sigma=None):
        """-2 (restricted) log-likelihood, at the best sigma unless one is given."""
        n, p = self.X.shape
        V = self.V(theta)
        inverse = np.linalg.inv(V)
        C = self.X.T @ inverse @ self.X
        residual = self.y - self.X @ np.linalg.solve(C, self.X.T @ inverse @ self.y)
        r2, nu = residual @ inverse @ residual, n - p * self.reml
        logs = np.linalg.slogdet(V)[1] + self.reml * np.linalg.slogdet(C)[1]
        s2 = r2 / nu if sigma is None else sigma**2
        return logs + nu * np.log(2 * np.pi * s2) + r2 / s2

    def vcov(self, psi):
        """Var(beta) at psi = (theta, sigma)."""
        inverse = np.linalg.inv(self.V(psi[:-1]))
        return psi[-1] ** 2 * np.linalg.inv(self.X.T @ inverse @ self.X)


def gradient(function, x, h=1e-5):
    """Central differences of fourth order, the last axis over x."""
    steps = np.maximum(np.abs(x), 0.1) * h
    parts = []
    for i, step in enumerate(steps):
        e = np.zeros(len(x))
        e[i] = step
        near, far = function(x + e) - function(x - e), function(x + 2 * e) - function(x - 2 * e)
        parts.append((8 * near - far) / (12 * step))
    return np.stack(parts, axis=-1)


def hessian(function, x):
    return gradient(lambda at: gradient(function, at, 1e-3), x, 1e-3)


# ------------------------------------------------------------------------------------- fits


@pytest.mark.parametrize("name", REFERENCES)
def test_reference(name):
    expected = expected_of(name)
    model = fitted(name)
    assert model.converged
    assert model.npar == expected["npar"]
    if name == "sleep_ar1":  # one row for each subject and day: glmmTMB ends where sigma is zero
        assert model.objective == pytest.approx(Matrices(model).deviance(model.theta), rel=1e-10)
        assert model.objective < expected["criterion"] - 5
        return
    assert model.objective == pytest.approx(expected["criterion"], abs=2e-4)
    np.testing.assert_allclose(model.fixef, as_array(expected["fixef"]), rtol=5e-4)
    se = np.sqrt(np.diag(np.array(expected["vcov"], dtype=float)))
    np.testing.assert_allclose(model.bse, se, rtol=5e-3)
    (found,) = model.var_corr.terms
    (random,) = expected["random"].values()
    np.testing.assert_allclose(found.stddev, as_array(random["stddev"]), rtol=5e-3)
    np.testing.assert_allclose(found.correlation, np.array(random["correlation"]), atol=5e-3)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", [*NAMES, "sleep_cs", "sleep_ar1"])
def test_criterion_and_gradient(name, reml):
    model = fitted(name, reml)
    matrices = Matrices(model)
    rng = np.random.default_rng(3)
    for theta in [model.theta.to_numpy(), *_some_theta(model, rng)]:
        assert model.objective_at(theta) == pytest.approx(matrices.deviance(theta), rel=1e-10)
        if np.min(np.abs(theta)) > 1e-3 and np.max(theta) < 50:
            np.testing.assert_allclose(
                model.gradient_at(theta), gradient(matrices.deviance, theta), rtol=1e-5, atol=1e-5
            )


def _some_theta(model, rng):
    for _ in range(3):
        theta = rng.uniform(0.3, 2.0, len(model.theta))
        rho = model.theta.index.str.endswith(".rho")
        theta[rho] = rng.uniform(-0.4, 0.9)
        yield theta


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_no_lower_criterion_is_found(name, reml):
    model = fitted(name, reml)
    matrices = Matrices(model)
    structures = [CovarianceStructure(n, k) for n, k, _, _ in matrices.terms]
    bounds = [
        (max(low, -50), min(high, 50))
        for one in structures
        for low, high in zip(one.lower_bounds, one.upper_bounds, strict=True)
    ]
    for start in _some_theta(model, np.random.default_rng(5)):
        best = scipy.optimize.minimize(matrices.deviance, start, bounds=bounds, method="L-BFGS-B")
        assert model.objective <= best.fun + 1e-5


def test_two_effects_are_unstructured():
    model = fitted("sleep_cs")
    data = data_of("sleep_cs")
    full = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data)
    assert model.objective == pytest.approx(full.objective, abs=1e-8)
    np.testing.assert_allclose(
        model.var_corr["Subject"], full.var_corr["Subject"], rtol=1e-4, atol=1e-3
    )
    by_word = crossnest.lmer("Reaction ~ Days + us(Days | Subject)", data)
    assert by_word.objective == full.objective


def test_one_effect_has_no_correlation():
    data = data_of("sleep_cs")
    plain = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data)
    for word in ("us", "diag", "cs", "ar1"):
        model = crossnest.lmer(f"Reaction ~ Days + {word}(1 | Subject)", data)
        assert model.objective == pytest.approx(plain.objective, abs=1e-8)
        assert model.theta.index.tolist() == ["Subject.(Intercept)"]


def test_a_correlation_at_its_bound():
    # One value for each worker, up to noise: all effects of a worker are the same.
    rng = np.random.default_rng(8)
    data = machines()
    effect = dict(zip(data["Worker"].cat.categories, rng.normal(size=6), strict=True))
    data["noise"] = rng.normal(size=len(data))
    data["noise"] -= data.groupby(["Worker", "Machine"], observed=True)["noise"].transform("mean")
    data["y"] = data["Worker"].map(effect).astype(float) * 3 + data["noise"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        model = crossnest.lmer("y ~ 1 + cs(0 + Machine | Worker, hom = TRUE)", data)
        plain = crossnest.lmer("y ~ 1 + (1 | Worker)", data)
    assert model.is_singular
    assert model.theta["Worker.rho"] == 1.0
    assert model.objective == pytest.approx(plain.objective, abs=1e-7)
    assert model.converged
    np.testing.assert_allclose(model.fixef, plain.fixef, rtol=1e-6)


@pytest.mark.parametrize("rho", [-0.7, 0.7])
def test_either_sign_of_an_autoregression_is_found(rho):
    # One row for each group and time: at rho = 0 the effects are residuals.
    rng = np.random.default_rng(4)
    times, groups = 12, 40
    root = np.linalg.cholesky(covariance("ar1", times, np.array([2.0, rho])))
    y = rng.normal(size=(groups, times)) @ root.T + rng.normal(size=(groups, times))
    data = pd.DataFrame(
        {
            "y": y.ravel(),
            "g": np.repeat(np.arange(groups), times).astype(str),
            "t": pd.Categorical(np.tile(np.arange(times), groups)),
        }
    )
    formula = "y ~ 1 + ar1(0 + t | g)"
    model = crossnest.lmer(formula, data)
    assert model.converged
    assert model.theta["g.rho"] == pytest.approx(rho, abs=0.15)
    other = crossnest.lmer(formula, data, start=np.array([2.0, rho]))
    assert model.objective == pytest.approx(other.objective, abs=1e-6)


def test_no_variance_at_all():
    rng = np.random.default_rng(1)
    data = machines()
    data["y"] = rng.normal(size=len(data))
    for name in ("cs", "homcs", "ar1", "hetar1"):
        formula = FORMULAS[name].replace("score ~ Machine", "y ~ 1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", crossnest.CrossnestWarning)
            model = crossnest.lmer(formula, data)
        matrices = Matrices(model)
        assert model.converged, name
        assert model.objective <= matrices.deviance(np.zeros(len(model.theta))) + 1e-8


# ---------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize(
    ("text", "structure"),
    [
        ("cs(x | g)", "cs"),
        ("cs(x | g, hom = TRUE)", "homcs"),
        ("cs(x | g, hom=False)", "cs"),
        ("ar1(0 + f | g)", "ar1"),
        ("ar1(0 + f | g, hom = F)", "hetar1"),
        ("ar1(0 + f | g,hom=T)", "ar1"),
        ("diag(x | g)", "diagonal"),
        ("diag(x | g, hom = True)", "homdiag"),
        ("us(x | g)", "unstructured"),
        ("(x | g)", "unstructured"),
    ],
)
def test_words(text, structure):
    (term,) = parse_formula(f"y ~ x + {text}").random
    assert term.text == text
    assert term.covariance == structure
    assert parse_formula(f"y ~ {term}").random[0].covariance == structure


def test_words_go_with_every_grouping():
    terms = parse_formula("y ~ cs(x | a/b) + ar1(0 + poly(x, 2) | factor(c)) + (1 | d)").random
    assert [(t.covariance, t.group) for t in terms] == [
        ("cs", "b:a"),
        ("cs", "a"),
        ("ar1", "factor(c)"),
        ("unstructured", "d"),
    ]


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ us(x | g, hom = TRUE)", "does not exist"),
        ("y ~ cs(x | g, het = TRUE)", "cannot read the option"),
        ("y ~ cs(x | g, hom = 1)", "cannot read the option"),
        ("y ~ cs(x || g)", "one bar, not two"),
        ("y ~ toep(x | g)", "toep"),
    ],
)
def test_bad_words(formula, message):
    with pytest.raises(crossnest.FormulaError, match=message):
        parse_formula(formula)


def test_columns_may_be_called_like_a_structure():
    data = data_of("sleep_cs").rename(columns={"Days": "cs"})
    model = crossnest.lmer("Reaction ~ cs + cs(cs | Subject)", data)
    assert model.objective == pytest.approx(fitted("sleep_cs").objective, abs=1e-8)


# ----------------------------------------------------------------------------- names and tables


def test_names_are_lme4s():
    assert fitted("cs").theta.index.tolist() == [
        "Worker.Machine[A]",
        "Worker.Machine[B]",
        "Worker.Machine[C]",
        "Worker.rho",
    ]
    assert fitted("ar1").theta.index.tolist() == ["Worker.*", "Worker.rho"]
    names = fitted("ar1").confint(method="wald").index.tolist()
    assert names[:3] == ["sd_*|Worker", "cor_rho|Worker", "sigma"]


def test_table_of_variances():
    text = str(fitted("homcs").var_corr)
    assert "*" in text
    assert "(cs)" in text
    model = fitted("ar1")
    assert "(ar1)" in str(model.summary())
    frame = model.var_corr.to_frame()
    assert len(frame) == 7
    assert frame["sdcor"][0] == pytest.approx(model.theta["Worker.*"] * model.sigma)
    assert frame["sdcor"][3] == pytest.approx(model.theta["Worker.rho"])


def test_registry():
    words = {}
    for name, word, homogeneous, preferred in covariance_structures():
        words.setdefault(word, []).append((homogeneous, preferred))
        assert CovarianceStructure(name, 3).n_theta >= 1
    assert all(sum(preferred for _, preferred in found) == 1 for found in words.values())


# --------------------------------------------------------------------------------- inference


def interior(name):
    model = fitted(name)
    lower = np.concatenate(
        [CovarianceStructure(t, k).lower_bounds for t, k, _, _ in Matrices(model).terms]
    )
    return np.all(model.theta - lower > 1e-3)


@pytest.mark.parametrize("name", ["cs", "homcs", "ar1", "hetar1", "homdiag", "sleep_cs"])
def test_satterthwaite(name):
    model = fitted(name)
    assert interior(name)
    matrices = Matrices(model)
    psi = np.array([*model.theta, model.sigma])
    H = hessian(lambda at: matrices.deviance(at[:-1], at[-1]), psi)
    slopes = gradient(matrices.vcov, psi)
    A = 2 * np.linalg.inv(H)
    for j, df in enumerate(make_tester(model, "satterthwaite").df(np.eye(len(model.fixef)))):
        variance, g = matrices.vcov(psi)[j, j], slopes[j, j]
        assert df == pytest.approx(2 * variance**2 / (g @ A @ g), rel=1e-4)


@pytest.mark.parametrize("name", ["cs", "homcs", "ar1", "hetar1", "homdiag", "sleep_cs"])
def test_kenward_roger(name):
    """Kenward and Roger's adjusted covariance matrix from derivatives of Var(y) by psi."""
    model = fitted(name)
    matrices = Matrices(model)
    psi = np.array([*model.theta, model.sigma])

    def S(at):
        return at[-1] ** 2 * matrices.V(at[:-1])

    G = np.moveaxis(gradient(S, psi), -1, 0)
    X, y, inverse = matrices.X, matrices.y, np.linalg.inv(S(psi))
    half = inverse @ X
    Phi = np.linalg.inv(X.T @ half)
    P = inverse - half @ Phi @ half.T
    expected = np.array([[np.trace(P @ a @ P @ b) for b in G] for a in G]) / 2
    observed = hessian(lambda at: matrices.deviance(at[:-1], at[-1]), psi) / 2
    linear = all(CovarianceStructure(t, k).linear for t, k, _, _ in matrices.terms)
    W = np.linalg.inv(expected if linear else observed)
    total = np.zeros_like(Phi)
    for r, s in itertools.product(range(len(G)), repeat=2):
        Q = half.T @ G[r] @ inverse @ G[s] @ half
        total += W[r, s] * (Q - half.T @ G[r] @ half @ Phi @ half.T @ G[s] @ half)
    found = make_tester(model, "kenward-roger").vcov
    np.testing.assert_allclose(found, Phi + 2 * Phi @ total @ Phi, rtol=1e-4)
    assert y is matrices.y


@pytest.mark.parametrize("name", ["homcs", "ar1", "hetar1"])
def test_profile(name):
    model = fitted(name, reml=False)
    matrices = Matrices(model)
    intervals = model.confint(method="profile", parm="theta_")
    cutoff = 1.959963984540054**2
    own = [label for label in intervals.index if label != "sigma"]
    assert len(own) == len(model.theta)
    for a, label in enumerate(own):
        for end in intervals.loc[label]:
            if not np.isfinite(end) or abs(end) in (0.0, 0.5, 1.0):
                continue

            def deviance(x, a=a, end=end):
                theta = np.insert(x[:-1], a, end if "cor" in own[a] else end / np.exp(x[-1]))
                inside = np.all(np.abs(theta[-1]) < 1) and np.all(theta[:-1] >= 0)
                if not inside or ("cs" in name and theta[-1] <= -0.5):
                    return 1e6
                return matrices.deviance(theta, np.exp(x[-1]))

            start = [*np.delete(model.theta, a), np.log(model.sigma)]
            best = scipy.optimize.minimize(
                deviance, start, method="Nelder-Mead", options={"maxfev": 6000, "xatol": 1e-7}
            )
            assert best.fun - model.objective == pytest.approx(cutoff, abs=1e-3), (label, end)


def test_tests_of_random_effects():
    model = fitted("mixed")
    table = model.ranova()
    assert table.index[1:].tolist() == ["(1 | Worker)", "ar1(0 + Machine | Worker)"]
    assert table["Df"].tolist()[1:] == [1, 2]


# ------------------------------------------------------------------------------- other verbs


@pytest.mark.parametrize("name", ["cs", "ar1", "mixed"])
def test_saved_and_pickled(name, tmp_path):
    model = fitted(name)
    model.save(tmp_path / "model.nest")
    for other in (crossnest.load(tmp_path / "model.nest"), pickle.loads(pickle.dumps(model))):
        assert str(other.summary()) == str(model.summary())
        pd.testing.assert_series_equal(other.theta, model.theta)
        assert other.var_corr.to_frame().equals(model.var_corr.to_frame())
        np.testing.assert_array_equal(other.predict(machines()), model.predict(machines()))


def test_predicted_and_simulated():
    model = fitted("ar1")
    np.testing.assert_allclose(model.predict(machines()), model.fittedvalues, rtol=1e-9)
    y = np.asarray(model.simulate(4000, seed=1), dtype=float)
    S = model.sigma**2 * Matrices(model).V(model.theta)
    y = y if y.shape[0] == len(S) else y.T
    np.testing.assert_allclose(np.cov(y), S, atol=0.12 * S.max())


@pytest.mark.parametrize("name", ["cs", "ar1"])
def test_refits_and_bootstrap(name):
    model = fitted(name)
    refit = model.refit(model.design.y)
    assert refit.objective == pytest.approx(model.objective, abs=1e-7)
    intervals = model.confint(method="boot", n=20, seed=2)
    assert intervals.index.tolist() == model.confint(method="wald").index.tolist()
    covariance = ~intervals.index.isin(model.fixef.index)
    assert np.all(np.isfinite(intervals[covariance]))


def test_conditional_variances():
    model = fitted("ar1")
    matrices = Matrices(model)
    k, levels = matrices.terms[0][1], matrices.terms[0][3]
    prior = np.kron(np.eye(levels), covariance("ar1", k, model.theta.to_numpy()))
    posterior = (
        prior - prior @ matrices.Z.T @ np.linalg.inv(matrices.V(model.theta)) @ matrices.Z @ prior
    )
    (found,) = model.cond_var().values()
    np.testing.assert_allclose(found[0], model.sigma**2 * posterior[:k, :k], rtol=1e-6, atol=1e-9)
