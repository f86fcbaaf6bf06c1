"""The C++ engine. Arrays are float64 and everything is on the user's scale."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

_Array = NDArray[np.float64]

class FitError(RuntimeError): ...

class RangeError(FitError):
    part: Literal["response", "weights", "fixed", "random"]
    term: int
    column: int
    reason: str

class _Block(TypedDict):
    factors: list[int]
    kind: Literal["block-diagonal", "dense", "sparse"]
    size: int
    block: int
    nonzeros: int
    bytes: int

class _Confounding(TypedDict):
    kind: Literal["fixed", "dependent", "repeated", "shared", "exact"]
    term: int
    effects: list[int]
    combination: bool
    other: int

class _Information(TypedDict):
    first: _Array
    second: _Array
    traces: _Array
    quadratics: _Array

class _Curvature(TypedDict):
    hessian: _Array
    jacobian: _Array
    exact: bool

class _Refits(TypedDict):
    objective: _Array
    theta: _Array
    beta: _Array
    errors: _Array
    sigma: _Array
    evaluations: NDArray[np.int32]
    status: NDArray[np.uint8]

class Fit:
    @property
    def theta(self) -> _Array: ...
    @property
    def objective(self) -> float: ...
    @property
    def sigma(self) -> float: ...
    @property
    def pwrss(self) -> float: ...
    @property
    def logdet_omega(self) -> float: ...
    @property
    def logdet_C(self) -> float: ...
    @property
    def reml(self) -> bool: ...
    @property
    def nu(self) -> int: ...
    @property
    def beta(self) -> _Array: ...
    @property
    def RX(self) -> _Array: ...
    @property
    def u(self) -> list[_Array]: ...
    @property
    def b(self) -> list[_Array]: ...
    @property
    def fitted(self) -> _Array: ...
    @property
    def singular(self) -> list[bool]: ...
    @property
    def converged(self) -> bool: ...
    @property
    def predicted_decrease(self) -> float: ...
    @property
    def evaluations(self) -> int: ...
    @property
    def gradient_evaluations(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def start(self) -> _Array: ...
    @property
    def seconds(self) -> float: ...
    @property
    def confounded(self) -> list[_Confounding]: ...
    def cond_var(self) -> list[_Array]: ...
    def effect_loadings(self) -> list[_Array]: ...
    def effect_covariances(self) -> list[_Array]: ...
    def effect_covariances_among(
        self,
        start: NDArray[np.integer[Any]],
        factors: NDArray[np.integer[Any]],
        levels: NDArray[np.integer[Any]],
    ) -> _Array: ...
    def leverages(self) -> _Array: ...
    def prediction_variances(
        self,
        X: _Array,
        codes: Sequence[NDArray[np.int32]],
        columns: Sequence[Sequence[_Array | None]],
        included: Sequence[bool],
    ) -> _Array: ...

class Model:
    def __init__(
        self,
        X: _Array,
        weights: _Array | None,
        factors: Sequence[tuple[NDArray[np.int32], int]],
        terms: Sequence[tuple[int, Sequence[_Array | None], str]],
        threads: int = 0,
        memory_limit: int = 0,
        tail: Literal["auto", "dense", "sparse"] = "auto",
    ) -> None: ...
    @property
    def n(self) -> int: ...
    @property
    def p(self) -> int: ...
    @property
    def rank(self) -> int: ...
    @property
    def pivot(self) -> NDArray[np.int64]: ...
    @property
    def n_theta(self) -> int: ...
    @property
    def lower_bounds(self) -> _Array: ...
    @property
    def structure(self) -> list[_Block]: ...

class Problem:
    def __init__(self, model: Model, y: _Array) -> None: ...
    @property
    def model(self) -> Model: ...
    def objective(self, theta: ArrayLike, reml: bool) -> float: ...
    def gradient(self, theta: ArrayLike, reml: bool) -> tuple[float, _Array]: ...
    def fit(
        self,
        reml: bool,
        start: ArrayLike | None = None,
        control: Mapping[str, Any] = ...,
    ) -> Fit: ...
    def estimates(self, theta: ArrayLike, reml: bool) -> Fit: ...
    def information(self, theta: ArrayLike, reml: bool) -> _Information: ...
    def curvature(
        self,
        theta: ArrayLike,
        reml: bool,
        hessian: Literal["auto", "exact", "differences"] = "auto",
    ) -> _Curvature: ...

class Profiler:
    def __init__(self, problem: Problem) -> None: ...
    @property
    def parameters(self) -> list[tuple[str, int, int, int]]: ...
    @property
    def estimates(self) -> _Array: ...
    @property
    def deviance(self) -> float: ...
    def trace(self, parameter: int, cutoff: float) -> tuple[_Array, _Array, str, str]: ...
    def interval(self, parameter: int, cutoff: float) -> tuple[float, float, str, str]: ...

def refit_many(
    model: Model,
    Y: _Array,
    reml: bool,
    start: ArrayLike | None = None,
    threads: int = 0,
    control: Mapping[str, Any] = ...,
) -> _Refits: ...
def install_kernels(capsules: Mapping[str, object] | None) -> None: ...
def kernels() -> str: ...
