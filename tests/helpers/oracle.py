"""The engine's slow, readable twin: linear mixed models by dense linear algebra in NumPy.

Two independent statements of the same model, to test `crossnest._core` against and to read
beside it:

- `Problem` has the methods of `crossnest._core.Problem` and solves penalized least squares (PLS)
  with one dense orthogonal factorization an evaluation;
- `marginal_objective` writes down the n x n marginal covariance of the response and evaluates
  its Gaussian (restricted) likelihood; it accepts complex theta, so that its complex-step
  derivative is an independent gradient.

The model is

    y = X beta + Z b + e,   b ~ N(0, sigma^2 Lambda Lambda'),   e ~ N(0, sigma^2 W^-1),

b = Lambda u with u spherical, Lambda = Lambda(theta) block-diagonal with one k x k lower triangle
lambda_t repeated for each of the J_t levels of a term t. A term's columns of Z stand level by
level: column l k + i of the term belongs to level l and covariate i.

Sizes: n observations, p columns of X after aliased ones are dropped (its rank), q random effects.
The criterion minimised is lme4's: the deviance (maximum likelihood) or the REML criterion

    d(theta) = log|Omega| + [REML] log|C| + nu (1 + log(2 pi r2 / nu)) - sum log w,

with nu = n (ML) or n - p (REML), on the scale of the data as given.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg
import scipy.optimize

#: Z of one term: (index of its factor, its columns, None for the constant, structure)
Term = tuple[int, list[np.ndarray | None], str]
#: A grouping factor: (level of each row, number of levels)
Factor = tuple[np.ndarray, int]

RANK_TOLERANCE = 1e-10
SINGULAR_TOLERANCE = 1e-4


# --- theta -> lambda -----------------------------------------------------------------------------


def theta_positions(k: int, structure: str) -> list[tuple[int, int]]:
    """Return the (row, column) in lambda of each of a term's theta, in lme4's order."""
    if structure == "diagonal":
        return [(i, i) for i in range(k)]
    if structure != "unstructured":
        raise ValueError(f"unknown covariance structure {structure!r}")
    return [(i, j) for j in range(k) for i in range(j, k)]


def n_theta(terms: list[Term]) -> int:
    """Count the covariance parameters of all terms."""
    return sum(len(theta_positions(len(columns), structure)) for _, columns, structure in terms)


def relative_factors(terms: list[Term], theta: np.ndarray) -> list[np.ndarray]:
    """Split theta into one lower triangular (k, k) lambda a term."""
    theta = np.asarray(theta)
    if theta.shape != (n_theta(terms),):
        raise ValueError(f"theta has shape {theta.shape}, expected ({n_theta(terms)},)")
    values = iter(theta)
    factors = []
    for _, columns, structure in terms:
        k = len(columns)
        lam = np.zeros((k, k), dtype=theta.dtype)
        for position in theta_positions(k, structure):
            lam[position] = next(values)
        factors.append(lam)
    return factors


def lambda_matrix(factors: list[Factor], terms: list[Term], theta: np.ndarray) -> np.ndarray:
    """Assemble Lambda (q, q): lambda_t once for each level of each term."""
    lams = relative_factors(terms, theta)
    blocks = [
        np.kron(np.eye(factors[f][1]), lam) for (f, _, _), lam in zip(terms, lams, strict=True)
    ]
    return scipy.linalg.block_diag(*blocks)


def z_matrix(factors: list[Factor], terms: list[Term]) -> np.ndarray:
    """Assemble Z (n, q), dense."""
    blocks = []
    for f, columns, _ in terms:
        codes, levels = factors[f]
        n, k = len(codes), len(columns)
        block = np.zeros((n, levels, k))
        for i, column in enumerate(columns):
            block[np.arange(n), codes, i] = 1.0 if column is None else column
        blocks.append(block.reshape(n, levels * k))
    return np.hstack(blocks)


# --- fixed effects -------------------------------------------------------------------------------


def independent_columns(X: np.ndarray) -> np.ndarray:
    """Find the columns of X to keep: each one not a combination of the kept ones before it.

    Gram-Schmidt, applied twice for accuracy. A column is aliased when what is left of it is below
    `RANK_TOLERANCE` times its norm. The same columns as R's `qr` keeps, in increasing order.
    """
    basis = np.zeros((X.shape[0], 0))
    kept = []
    for j, x in enumerate(X.T):
        left = x - basis @ (basis.T @ x)
        left = left - basis @ (basis.T @ left)
        norm = np.linalg.norm(left)
        if norm > RANK_TOLERANCE * np.linalg.norm(x):
            kept.append(j)
            basis = np.column_stack([basis, left / norm])
    return np.array(kept, dtype=np.intp)


def orthogonal_basis(X: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write X = B T with B'WB = I, for X of full column rank.

    Where a column of X is constant, the others are centred first: with a mean of 1e6 in a
    covariate, orthogonalizing directly would cost six digits, subtracting the mean costs none.

    Returns
    -------
    B : (n, p)
    T : (p, p), not triangular in general
    """
    p = X.shape[1]
    centre = np.eye(p)  # X = (X - 1 m') centre, the means in the constant's row
    constant = [j for j in range(p) if np.all(X[:, j] == X[0, j])]
    if constant:
        c = constant[0]
        means = (weights @ X) / weights.sum() / X[0, c]
        means[c] = 0.0
        X = X - np.outer(X[:, c], means)
        centre[c] += means
    root_w = np.sqrt(weights)[:, None]
    Q, R = np.linalg.qr(root_w * X)
    return Q / root_w, R @ centre


# --- the n x n likelihood ------------------------------------------------------------------------


def marginal_objective(
    X: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None,
    factors: list[Factor],
    terms: list[Term],
    theta: np.ndarray,
    reml: bool,
) -> float | complex:
    """Evaluate d(theta) from the marginal distribution of y, with no random effects in sight.

    y ~ N(X beta, sigma^2 V) with V = W^-1 + Z Lambda Lambda' Z'. Profiling beta (generalized
    least squares) and sigma^2 = r2 / nu out of minus twice the (restricted) log-likelihood leaves

        d = log|V| + [REML] log|X'V^-1 X| + nu (1 + log(2 pi r2 / nu)),
        r2 = (y - X beta)' V^-1 (y - X beta).

    Transposes are never conjugated, so d is analytic in theta: Im d(theta + i h e_p) / h is the
    derivative with respect to theta_p, exact to rounding for any tiny h.

    X must have full column rank.
    """
    n, p = X.shape
    weights = np.ones(n) if weights is None else weights
    root = z_matrix(factors, terms) @ lambda_matrix(factors, terms, theta)
    V = np.diag(1.0 / weights) + root @ root.T
    basis, transform = np.linalg.qr(X)
    residual = y - basis @ (basis.T @ y)
    solved = np.linalg.solve(V, np.column_stack([basis, residual]))
    XtVinvX = basis.T @ solved[:, :p]
    beta = np.linalg.solve(XtVinvX, basis.T @ solved[:, p])
    r2 = (residual - basis @ beta) @ (solved[:, p] - solved[:, :p] @ beta)
    nu = n - p if reml else n
    d = _log_det(V) + nu * (1.0 + np.log(2.0 * np.pi * r2 / nu))
    if reml:
        d = d + _log_det(XtVinvX) + 2.0 * _log_det(transform, absolute=True)
    return d


def _log_det(A: np.ndarray, absolute: bool = False) -> float | complex:
    sign, log_abs = np.linalg.slogdet(A)
    return log_abs if absolute or not np.iscomplexobj(A) else log_abs + np.log(sign)


def complex_step_gradient(objective, theta: np.ndarray, step: float = 1e-30) -> np.ndarray:
    """Differentiate an analytic function: Im f(theta + i step e_p) / step, without cancellation."""
    theta = np.asarray(theta, dtype=float)
    return np.array([np.imag(objective(theta + 1j * step * e)) / step for e in np.eye(theta.size)])


# --- penalized least squares ---------------------------------------------------------------------


@dataclass(frozen=True)
class Pls:
    """The solved penalized least squares problem at one theta, in the basis B of X = B T."""

    Lambda: np.ndarray  #: (q, q)
    Lt: np.ndarray  #: (q, q) upper triangular, Omega = Lt' Lt
    RZX: np.ndarray  #: (q, p) = L^-1 Lambda'Z'WB
    R: np.ndarray  #: (p, p) upper triangular, C = R'R
    u: np.ndarray  #: (q,) spherical random effects
    gamma: np.ndarray  #: (p,) coefficients of B, for the response as regressed on B beforehand
    r2: float  #: penalized weighted residual sum of squares


@dataclass
class Fit:
    """Everything known at one theta; the fields of `crossnest._core.Fit`.

    Scale and order are the user's throughout; variances are absolute (times sigma^2).
    """

    theta: np.ndarray  #: (n_theta,)
    objective: float  #: REML criterion or deviance, d(theta)
    sigma: float  #: sqrt(pwrss / nu)
    pwrss: float  #: r2, the penalized weighted residual sum of squares
    logdet_omega: float  #: log|Omega|
    logdet_C: float  #: log|C| for the kept columns of X
    reml: bool
    nu: int  #: n - p (REML) or n (ML)
    beta: np.ndarray  #: (p,) for the kept columns
    RX: np.ndarray  #: (p, p) upper triangular, diagonal > 0, RX'RX = C: vcov = sigma^2 (RX'RX)^-1
    u: list[np.ndarray]  #: (J, k) a term
    b: list[np.ndarray]  #: (J, k) a term, b = Lambda u
    fitted: np.ndarray  #: (n,) X beta + Z b
    singular: list[bool]  #: for each term: is a diagonal of lambda (standardized columns) zero
    converged: bool = True
    predicted_decrease: float = 0.0
    evaluations: int = 1
    gradient_evaluations: int = 0
    message: str = ""
    start: np.ndarray | None = None
    seconds: float = 0.0
    _cond_var: list[np.ndarray] = field(default_factory=list, repr=False)
    _leverages: np.ndarray | None = field(default=None, repr=False)

    def cond_var(self) -> list[np.ndarray]:
        """Compute Var(b | y) = sigma^2 (Lambda Omega^-1 Lambda')_ll, one (J, k, k) array a term."""
        return self._cond_var

    def leverages(self) -> np.ndarray:
        """Return the (n,) diagonal of the matrix that takes y to the fitted values."""
        return self._leverages


class Problem:
    """A linear mixed model ready for evaluation at any theta, as `crossnest._core.Problem`.

    Everything the criterion knows of the data is A = [Z B y]'W[Z B y]. It is kept as its square
    root, the triangle `root` of W^(1/2) [Z B y] = Q root, and an evaluation factors

        [ root diag(Lambda, I, 1) ]              [ Lt  RZX  c_u   ]
        [ I_q           0       0 ]  =  Q_theta  [ 0   R    c_gamma ]
                                                 [ 0   0    sqrt(r2) ]

    by Householder reflections. The right side is the Cholesky factor of the same matrix bordered
    by the identity, so Lt'Lt = Omega = Lambda'Z'WZ Lambda + I, R'R = C = B'WB - RZX'RZX; but it
    never forms cross-products, so no digits are lost by squaring.

    Parameters are those of the engine. `threads`, `memory_limit` and `tail` change no result and
    are ignored here.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        weights: np.ndarray | None,
        factors: list[Factor],
        terms: list[Term],
        threads: int = 0,
        memory_limit: int = 0,
        tail: str = "auto",
    ) -> None:
        X = np.asarray(X, dtype=float)
        self.n, self.p = X.shape
        self.factors, self.terms = factors, terms
        self.weights = np.ones(self.n) if weights is None else np.asarray(weights, dtype=float)
        self.pivot = independent_columns(X)
        self.rank = len(self.pivot)
        self.X = X[:, self.pivot]
        self.B, self.T = orthogonal_basis(self.X, self.weights)
        self.Z = z_matrix(factors, terms)
        self.q = self.Z.shape[1]
        self.positions = [theta_positions(len(cols), s) for _, cols, s in terms]
        self.n_theta = n_theta(terms)
        diagonal = [i == j for i, j in itertools.chain(*self.positions)]
        self.lower_bounds = np.where(diagonal, 0.0, -np.inf)
        self.set_response(y)

    def set_response(self, y: np.ndarray) -> None:
        """Replace the response; what depends on X and Z alone stays.

        y is first regressed on B (weighted least squares): the criterion depends on y only
        through what is left, and a large mean or trend costs no accuracy.
        """
        y = np.array(y, dtype=float)
        self.gamma0 = self.B.T @ (self.weights * y)
        left = y - self.B @ self.gamma0
        again = self.B.T @ (self.weights * left)
        self.gamma0 += again
        self.y_left = left - self.B @ again
        scaled = np.sqrt(self.weights)[:, None] * np.column_stack([self.Z, self.B, self.y_left])
        self.root = np.linalg.qr(scaled, mode="r")
        self.ZtWZ = self.Z.T @ (self.weights[:, None] * self.Z)

    @property
    def structure(self) -> list[dict]:
        """Describe the blocks; here all random effects are one dense block."""
        block = {"factors": list(range(len(self.factors))), "kind": "dense", "size": self.q}
        return [block | {"block": self.q, "nonzeros": self.q**2, "bytes": 8 * self.q**2}]

    # -- evaluation

    def solve(self, theta: np.ndarray) -> Pls:
        """Solve penalized least squares at theta."""
        q, p = self.q, self.rank
        Lambda = lambda_matrix(self.factors, self.terms, np.asarray(theta, dtype=float))
        top = np.hstack([self.root[:, :q] @ Lambda, self.root[:, q:]])
        F = np.linalg.qr(np.vstack([top, np.eye(q, q + p + 1)]), mode="r")
        Lt, RZX, c_u = F[:q, :q], F[:q, q : q + p], F[:q, -1]
        R, c_gamma = F[q : q + p, q : q + p], F[q : q + p, -1]
        gamma = scipy.linalg.solve_triangular(R, c_gamma)
        u = scipy.linalg.solve_triangular(Lt, c_u - RZX @ gamma)
        return Pls(Lambda, Lt, RZX, R, u, gamma, float(F[q + p, -1] ** 2))

    def nu(self, reml: bool) -> int:
        """Count the degrees of freedom that divide r2."""
        return self.n - self.rank if reml else self.n

    def _log_dets(self, pls: Pls) -> tuple[float, float]:
        log_C = 2.0 * np.sum(np.log(np.abs(np.diag(pls.R)))) + 2.0 * np.linalg.slogdet(self.T)[1]
        return 2.0 * float(np.sum(np.log(np.abs(np.diag(pls.Lt))))), float(log_C)

    def _objective(self, pls: Pls, reml: bool) -> float:
        nu = self.nu(reml)
        log_omega, log_C = self._log_dets(pls)
        d = log_omega + nu * (1.0 + np.log(2.0 * np.pi * pls.r2 / nu))
        return float(d + (log_C if reml else 0.0) - np.sum(np.log(self.weights)))

    def objective(self, theta: np.ndarray, reml: bool) -> float:
        """Evaluate d(theta), the REML criterion or the deviance."""
        return self._objective(self.solve(theta), reml)

    def gradient(self, theta: np.ndarray, reml: bool) -> tuple[float, np.ndarray]:
        """Evaluate d and its exact gradient.

        theta_p is entry (i, j) of lambda_t, and dd/dtheta_p = 2 M_t[i, j] with

            M_t = sum over levels l of
                  (Z'WZ Lambda Omega^-1)_ll - (nu/r2) g_l u_l' - [REML] G_X,l C^-1 U_X,l',
            U_X = Lt^-1 RZX,   g = Z'W(y - X beta - Z b),   G_X = Z'WX - Z'WZ Lambda U_X.

        This form holds for singular lambda_t too; Lambda' times the first matrix is I - Omega^-1.
        """
        pls = self.solve(theta)
        return self._objective(pls, reml), self._gradient_parts(pls, reml).sum(axis=0)

    def gradient_parts(self, theta: np.ndarray, reml: bool) -> np.ndarray:
        """Compute the (3, n_theta) terms of the gradient: of log|Omega|, of r2 and of log|C|."""
        return self._gradient_parts(self.solve(theta), reml)

    def _gradient_parts(self, pls: Pls, reml: bool) -> np.ndarray:
        Lt_inv = scipy.linalg.solve_triangular(pls.Lt, np.eye(self.q))
        R_inv = scipy.linalg.solve_triangular(pls.R, np.eye(self.rank))
        U_X = Lt_inv @ pls.RZX
        residual = self.y_left - self.B @ pls.gamma - self.Z @ (pls.Lambda @ pls.u)
        g = self.Z.T @ (self.weights * residual)
        G_X = self.Z.T @ (self.weights[:, None] * (self.B - self.Z @ (pls.Lambda @ U_X)))
        parts = [
            self.ZtWZ @ pls.Lambda @ Lt_inv @ Lt_inv.T,
            np.outer(g, pls.u) * (-self.nu(reml) / pls.r2),
            (G_X @ R_inv) @ (U_X @ R_inv).T * (-1.0 if reml else 0.0),
        ]
        return np.array([self._derivatives(M) for M in parts])

    def _derivatives(self, M: np.ndarray) -> list[float]:
        """Compute 2 M_t[i, j] for each theta, M_t the sum of the diagonal blocks of term t."""
        blocks = [diagonal.sum(axis=0) for diagonal in self._diagonal_blocks(M)]
        terms = zip(blocks, self.positions, strict=True)
        return [2.0 * M_t[ij] for M_t, positions in terms for ij in positions]

    def rounding(self, theta: np.ndarray, reml: bool) -> float:
        """Estimate the error of d in an engine that factors cross-products, backward stably.

        To first order log det M changes by tr(M^-1 dM), and a Cholesky factorization is exact for
        some M + dM with |dM_ij| of the order of eps sqrt(M_ii M_jj). Here M is A bordered by the
        identity, and the pivots of y count nu times: d has nu log r2. What this class loses is of
        the order of the square root of the loss, as it never forms M.
        """
        pls = self.solve(theta)
        q, p = self.q, self.rank
        y = self.y_left * np.sqrt(self.weights)
        F = np.block([[pls.Lt, pls.RZX], [np.zeros((p, q)), pls.R]])
        inverse = scipy.linalg.solve_triangular(F, np.eye(q + p))
        inverse_diagonal = np.sum(inverse**2, axis=1)
        losses = np.sum(np.sum(F**2, axis=0) * inverse_diagonal)
        return float(np.finfo(float).eps * (losses + self.nu(reml) * (y @ y) / pls.r2))

    def _by_term(self, vector: np.ndarray) -> list[np.ndarray]:
        """Cut a vector over all random effects into one (J, k) array a term."""
        shapes = [(self.factors[f][1], len(columns)) for f, columns, _ in self.terms]
        ends = np.cumsum([J * k for J, k in shapes])[:-1]
        return [part.reshape(s) for part, s in zip(np.split(vector, ends), shapes, strict=True)]

    def _diagonal_blocks(self, M: np.ndarray) -> list[np.ndarray]:
        """Cut the k x k diagonal blocks out of a (q, q) matrix: one (J, k, k) array a term."""
        index = self._by_term(np.arange(self.q))
        return [M[rows[:, :, None], rows[:, None, :]] for rows in index]

    # -- estimates

    def estimates(self, theta: np.ndarray, reml: bool) -> Fit:
        """Compute everything known at theta, without optimizing."""
        theta = np.array(theta, dtype=float)
        pls = self.solve(theta)
        log_omega, log_C = self._log_dets(pls)
        sigma = np.sqrt(pls.r2 / self.nu(reml))
        beta = np.linalg.solve(self.T, self.gamma0 + pls.gamma)
        RX = np.linalg.qr(pls.R @ self.T, mode="r")
        RX *= np.where(np.diag(RX) < 0, -1.0, 1.0)[:, None]
        b = pls.Lambda @ pls.u
        root = scipy.linalg.solve_triangular(pls.Lt, pls.Lambda.T, trans="T")
        return Fit(
            theta=theta,
            objective=self._objective(pls, reml),
            sigma=float(sigma),
            pwrss=pls.r2,
            logdet_omega=log_omega,
            logdet_C=log_C,
            reml=bool(reml),
            nu=self.nu(reml),
            beta=beta,
            RX=RX,
            u=self._by_term(pls.u),
            b=self._by_term(b),
            fitted=self.B @ (self.gamma0 + pls.gamma) + self.Z @ b,
            singular=self._singular(theta),
            start=theta,
            _cond_var=self._diagonal_blocks(sigma**2 * root.T @ root),
            _leverages=self._leverages(pls),
        )

    def _leverages(self, pls: Pls) -> np.ndarray:
        """Compute diag(H), H = W^(1/2) D (F'F)^-1 D' W^(1/2), D = [Z Lambda, B], F its triangle."""
        D = np.hstack([self.Z @ pls.Lambda, self.B]) * np.sqrt(self.weights)[:, None]
        F = np.block([[pls.Lt, pls.RZX], [np.zeros((self.rank, self.q)), pls.R]])
        return np.sum(scipy.linalg.solve_triangular(F, D.T, trans="T") ** 2, axis=0)

    # -- optimization

    def _column_scales(self) -> np.ndarray:
        """Give, for each theta, the root mean square of the column of Z its row multiplies."""
        mean_squares = [
            [1.0 if c is None else float(np.mean(np.square(c))) for c in columns]
            for _, columns, _ in self.terms
        ]
        rows = zip(mean_squares, self.positions, strict=True)
        scales = np.sqrt([squares[i] for squares, positions in rows for i, _ in positions])
        return np.where(scales > 0, scales, 1.0)

    def _singular(self, theta: np.ndarray) -> list[bool]:
        """Say for each term whether lambda has a zero on its diagonal, whatever Z's units."""
        zero = (self.lower_bounds == 0) & (theta * self._column_scales() < SINGULAR_TOLERANCE)
        ends = np.cumsum([len(positions) for positions in self.positions])[:-1]
        return [bool(part.any()) for part in np.split(zero, ends)]

    def scaled_gradient(self, reml: bool):
        """Compute d and its gradient as a function of theta times the scales of Z's columns."""
        scales = self._column_scales()

        def scaled(x: np.ndarray) -> tuple[float, np.ndarray]:
            d, gradient = self.gradient(x / scales, reml)
            return d, gradient / scales

        return scaled

    def fit(self, reml: bool, start: np.ndarray | None = None, control: dict | None = None) -> Fit:
        """Minimise d over theta by a bounded quasi-Newton method from several starts.

        The optimizer works on theta times the scale of Z's columns. d is even in a scalar theta
        and may have several local minima, so that one start proves nothing: the identity, small
        and large multiples of it and random starts are all run, and the best result is polished
        by Newton steps on the theta that are off their bounds. `control` is ignored.
        """
        began = time.perf_counter()
        scales, scaled = self._column_scales(), self.scaled_gradient(reml)
        identity = np.where(self.lower_bounds == 0, 1.0, 0.0)
        first = identity if start is None else np.asarray(start, dtype=float) * scales
        random = np.random.default_rng(1)
        starts = [first, 0.1 * identity, 5.0 * identity]
        starts += [identity * random.uniform(0.05, 3.0, self.n_theta) for _ in range(3)]
        bounds = [(low, None) for low in self.lower_bounds]
        options = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-8}
        runs = [
            scipy.optimize.minimize(
                scaled, x, jac=True, bounds=bounds, method="L-BFGS-B", options=options
            )
            for x in starts
        ]
        best = min(runs, key=lambda run: run.fun)
        x, decrease = _newton_polish(scaled, best.x, self.lower_bounds)
        fit = self.estimates(x / scales, reml)
        fit.start = first / scales if start is None else np.array(start, dtype=float)
        fit.predicted_decrease, fit.converged = decrease, decrease < 1e-6
        fit.evaluations = fit.gradient_evaluations = sum(run.nfev for run in runs)
        fit.message = str(best.message)
        fit.seconds = time.perf_counter() - began
        return fit


def newton_step(function, x: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, float]:
    """Compute the Newton step from x and the decrease 1/2 g'H^-1 g it predicts.

    The Hessian is of central differences of the exact gradient, over the coordinates off their
    bounds; directions without curvature are left out.
    """
    _, g = function(x)
    step = np.zeros_like(x)
    free = np.flatnonzero(x > np.where(lower == 0, 1e-3, -np.inf))
    if free.size == 0:
        return step, 0.0
    hessian = np.empty((free.size, free.size))
    for column, j in enumerate(free):
        h = np.zeros_like(x)
        h[j] = 1e-4 * max(1e-2, abs(x[j]))
        hessian[:, column] = (function(x + h)[1] - function(x - h)[1])[free] / (2.0 * h[j])
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2.0)
    along = vectors.T @ g[free]
    curved = values > 1e-8 * max(1.0, values[-1])
    along[~curved], values[~curved] = 0.0, 1.0
    step[free] = -vectors @ (along / values)
    return step, float(0.5 * np.sum(along**2 / values))


def _newton_polish(function, x: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, float]:
    """Take Newton steps that do not raise the function; give the decrease still predicted."""
    x = np.maximum(x, lower)
    for _ in range(5):
        step, decrease = newton_step(function, x, lower)
        trial = x + step
        if decrease < 1e-13 or np.any(trial < lower) or function(trial)[0] > function(x)[0]:
            break
        x = trial
    return x, decrease
