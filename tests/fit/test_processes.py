"""One model used by many threads, forked and spawned processes, pickled and copied."""

import copy
import ctypes
import multiprocessing
import os
import pickle
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import crossnest
from crossnest.fit import kernels

#: JAX, which another package's tests may have imported, and Python 3.12 warn of every fork.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

SLEEP = crossnest.datasets.sleepstudy()


def fresh_model():
    return crossnest.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)


def uses(model):
    """Ask for something of every kind: criterion, tests, refits, profiles, variances of rows."""
    refits = model.refit_many(np.column_stack([SLEEP["Reaction"] + 1] * 3), n_jobs=2)
    return {
        "summary": str(model.summary()),
        "kenward-roger": str(model.summary(ddf="kenward-roger")),
        "objective": model.objective_at(model.theta),
        "leverages": model.leverages().to_numpy().tobytes(),
        "cond_var": model.cond_var()["Subject"].tobytes(),
        "predict": model.predict(SLEEP[:7], se=True).to_numpy().tobytes(),
        "refit": model.refit(SLEEP["Reaction"][::-1].to_numpy()).theta.to_numpy().tobytes(),
        "refits": refits.theta.tobytes(),
        "profile": model.profile("sigma", level=0.8, progress=False).zeta.to_csv(),
    }


def test_threads_share_one_model():
    model = fresh_model()
    alone = uses(fresh_model())
    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda _: uses(model), range(12)))
    assert all(result == alone for result in results)


def test_a_thread_keeps_its_response_while_others_have_theirs():
    model = fresh_model()
    responses = [SLEEP["Reaction"].to_numpy() + 10 * k * SLEEP["Days"].to_numpy() for k in range(4)]
    refits = [model.refit(y) for y in responses]
    expected = [float(refit.objective) for refit in refits]

    def check(k):
        for _ in range(20):
            assert refits[k % 4].objective_at(refits[k % 4].theta) == pytest.approx(expected[k % 4])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(check, range(8)))


def test_problems_of_one_model_keep_their_responses():
    model = fresh_model()
    other = model.refit(SLEEP["Reaction"] * 2)
    outer, inner = model._problem, other._problem
    assert outer.model is inner.model and inner is not outer
    theta = model._fit.theta
    assert outer.objective(theta, True) == pytest.approx(model.objective)
    assert inner.objective(theta, True) == pytest.approx(other.objective)


def large_model():
    """Make a model whose evaluations take a while."""
    rng = np.random.default_rng(1)
    n = 30_000
    data = {"x": rng.normal(size=n), "g": rng.integers(0, 900, n), "h": rng.integers(0, 900, n)}
    effects = rng.normal(size=900)[data["g"]] + rng.normal(size=900)[data["h"]]
    data["y"] = data["x"] + effects + rng.normal(size=n)
    return crossnest.lmer("y ~ x + (1 | g) + (1 | h)", data)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_another_thread_fits_does_not_wait_for_it():
    model = large_model()
    expected = model.objective
    stop, started = threading.Event(), threading.Event()

    def keep_fitting():
        while not stop.is_set():
            started.set()
            model._problem.gradient(model._fit.theta, True)

    worker = threading.Thread(target=keep_fitting)
    worker.start()
    try:
        started.wait(30)
        for _ in range(5):
            time.sleep(0.01)
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    model.leverages()
                    refit = model.refit(model.design.y + 1.0)
                    status = 0 if abs(refit.objective - expected) < 1e-4 * abs(expected) else 2
                finally:
                    os._exit(status)
            assert _status_of(child, seconds=60) == 0
    finally:
        stop.set()
        worker.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("others", [False, True])
def test_a_child_forked_beside_threads_does_not_wait_for_threads_of_the_blas(others):
    """Its BLAS may believe in threads that were started again just before the fork."""
    setting = kernels._thread_setting()
    if not setting:
        pytest.skip("SciPy's BLAS has no setting of its threads")
    get, put = (
        ctypes.CFUNCTYPE(result, *argument)(setting[key])
        for key, result, argument in (
            ("get_threads", ctypes.c_int, ()),
            ("set_threads", None, (ctypes.c_int,)),
        )
    )
    before = get()
    put(2)
    stop = threading.Event()
    worker = threading.Thread(target=stop.wait)
    if others:
        worker.start()
    alone = threading.active_count() == 1  # earlier tests may have left threads that wait
    try:
        child = os.fork()
        if child == 0:
            os._exit(get())
        assert _status_of(child, seconds=60) == (2 if alone else 1)
    finally:
        put(before)
        stop.set()
        if others:
            worker.join()


def _status_of(child, seconds):
    """Wait for a child; kill it and return None if it takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


def refit_objective(model, k):
    return model.refit(SLEEP["Reaction"].to_numpy() + k).objective


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_processes_refit_a_model(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"the system has no {method}")
    model = fresh_model()
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as processes:
        found = list(processes.map(refit_objective, [model] * 4, range(4), timeout=120))
    assert found == pytest.approx([model.objective] * 4)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_refits_a_model(backend):
    joblib = pytest.importorskip("joblib")
    model = fresh_model()
    jobs = joblib.Parallel(n_jobs=2, backend=backend, timeout=120)
    found = jobs(joblib.delayed(refit_objective)(model, k) for k in range(4))
    assert found == pytest.approx([model.objective] * 4)


def results():
    """Make one result of every kind there is."""
    model = fresh_model()
    ergo = crossnest.lmer("effort ~ Type + (1 | Subject)", crossnest.datasets.ergostool())
    lm = crossnest.lm("Reaction ~ Days", SLEEP)
    return {
        "model": model,
        "summary": model.summary(),
        "var_corr": model.var_corr,
        "design": model.design,
        "opt": model.opt,
        "control": model.control,
        "profile": model.profile("sigma", level=0.8, progress=False),
        "bootstrap": model.bootstrap(10, seed=1, progress=False),
        "refit_many": model.refit_many(np.array(SLEEP[["Reaction"]])),
        "influence": model.influence("Subject"),
        "quantile_residuals": model.quantile_residuals(10, seed=1),
        "uniformity": model.quantile_residuals(10, seed=1).uniformity(),
        "rand_pca": model.rand_pca(),
        "icc": model.icc(),
        "r2": model.r2(),
        "lm_anova": crossnest.lm("effort ~ Type + Subject", crossnest.datasets.ergostool()).anova(),
        "anova": ergo.anova(),
        "drop1": ergo.drop1(),
        "step": ergo.step(),
        "ranova": model.ranova(),
        "emmeans": ergo.emmeans("Type"),
        "contrasts": ergo.emmeans("Type").contrast("pairwise"),
        "emm_table": ergo.emmeans("Type").pairs(),
        "confint": model.confint("wald"),
        "compare": crossnest.compare(model, ergo),
        "lm": lm,
        "lm_summary": lm.summary(),
        "lm_list": crossnest.lm_list("Reaction ~ Days | Subject", SLEEP),
        "ivw": crossnest.ivw([1.0, 2.0], [0.1, 0.2]),
        "pb_modcomp": crossnest.pb_modcomp(
            model,
            crossnest.lmer("Reaction ~ 1 + (Days | Subject)", SLEEP),
            n=10,
            seed=1,
            progress=False,
        ),
    }


def test_every_result_is_pickled_and_copied():
    for name, result in results().items():
        for made in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result)):
            assert type(made) is type(result), name
            if isinstance(result, pd.DataFrame):
                pd.testing.assert_frame_equal(pd.DataFrame(made), pd.DataFrame(result))
            if name not in ("design", "control", "opt"):
                assert str(made) == str(result), name


def test_a_pickled_model_does_all_that_the_fitted_one_does():
    model = fresh_model()
    expected = uses(model)
    for duplicate in (copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
        found = uses(duplicate(model))
        assert [key for key in expected if found[key] != expected[key]] == []


def test_a_loaded_model_is_pickled_and_copied(tmp_path):
    model = fresh_model()
    model.save(tmp_path / "model.crossnest")
    loaded = crossnest.load(tmp_path / "model.crossnest")
    for made in (pickle.loads(pickle.dumps(loaded)), copy.deepcopy(loaded), copy.copy(loaded)):
        assert str(made.summary()) == str(model.summary())
        assert made.predict(SLEEP, se=True).equals(loaded.predict(SLEEP, se=True))
        with pytest.raises(crossnest.base.errors.NoDataError):
            made.refit(SLEEP["Reaction"])


def test_no_lock_is_held_by_what_is_kept():
    model = fresh_model()
    kept = [*vars(model).values(), *vars(model._engine).values()]
    assert not any("lock" in type(value).__name__.lower() for value in kept)
    assert sys.getrefcount(model) < 10


def test_a_bootstrap_of_a_local_function_is_pickled_without_it():
    boot = fresh_model().bootstrap(20, seed=1, statistic=lambda m: m.sigma, progress=False)
    made = pickle.loads(pickle.dumps(boot))
    assert made.confint().equals(boot.confint()) and made.replicates.equals(boot.replicates)
    assert boot.confint("bca").notna().all(axis=None)
    with pytest.raises(ValueError, match="need the statistic, which was left out"):
        made.confint("bca")
