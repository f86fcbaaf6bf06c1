"""Constrained maximum likelihood by brute force: the n x n deviance, minimised by SciPy."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.optimize

from oracle import relative_factors, z_matrix


class ConstrainedOracle:
    """The ML deviance of a model at any (theta, log sigma), the fixed effects profiled out.

    Parameters
    ----------
    model
        A fitted model; only its design is used, and its names.
    """

    def __init__(self, model):
        design = model.design
        self.terms = [(t.factor, list(t.columns), t.term.covariance) for t in design.random]
        self.factors = [(f.codes, f.n_levels) for f in design.factors]
        offset = 0.0 if design.offset is None else design.offset
        self.y = design.y - offset
        self.X = model.model_matrix().to_numpy()
        self.weights = np.ones(len(self.y)) if design.weights is None else design.weights
        self.Z = z_matrix(self.factors, self.terms)

    def deviance(self, theta, log_sigma, X=None, y=None):
        """Minus twice the log-likelihood, fixed effects at their best."""
        X, y = self.X if X is None else X, self.y if y is None else y
        factors = relative_factors(self.terms, theta)
        V = np.diag(1 / self.weights)
        start = 0
        for (factor, columns, _), root in zip(self.terms, factors, strict=True):
            J, k = self.factors[factor][1], len(columns)
            Z = self.Z[:, start : start + J * k]
            V += Z @ np.kron(np.eye(J), root @ root.T) @ Z.T
            start += J * k
        try:
            L = np.linalg.cholesky(V)
        except np.linalg.LinAlgError:  # at a theta so large that only rounding errors are left
            return np.inf
        white = scipy.linalg.solve_triangular(
            L, np.column_stack([X, y]), lower=True, check_finite=False
        )
        residual = white[:, -1]
        if X.shape[1]:
            residual = (
                residual - white[:, :-1] @ np.linalg.lstsq(white[:, :-1], residual, rcond=None)[0]
            )
        n = len(y)
        return (
            2 * np.log(np.diag(L)).sum()
            + n * np.log(2 * np.pi)
            + 2 * n * log_sigma
            + residual @ residual / np.exp(2 * log_sigma)
        )

    def sdcor(self, theta, log_sigma):
        """Standard deviations and correlations in the order of a profile, then sigma."""
        values = []
        for root, (_, _, structure) in zip(
            relative_factors(self.terms, theta), self.terms, strict=True
        ):
            sd = np.linalg.norm(root, axis=1)
            for j in range(len(sd)):
                values.append(np.exp(log_sigma) * sd[j])
                if structure != "diagonal":
                    values += [root[i] @ root[j] / (sd[i] * sd[j]) for i in range(j + 1, len(sd))]
        return np.array([*values, np.exp(log_sigma)])

    def held(self, position, value, point):
        """Compute the deviance at a point, a fixed effect at `position` held at a value."""
        column = position - len(self.sdcor(point[:-1], point[-1]))
        if column < 0:
            return self.deviance(point[:-1], point[-1])
        X, y = np.delete(self.X, column, axis=1), self.y - value * self.X[:, column]
        return self.deviance(point[:-1], point[-1], X, y)

    def minimum(self, position, value, starts):
        """Compute the least deviance with the parameter at `position` held at a value.

        Parameters
        ----------
        position
            In the order of a profile; None for the unconstrained minimum.
        value
            What it is held at.
        starts
            (theta, log sigma) to start from, flattened; the best result counts.
        """
        count = len(self.sdcor(starts[0][:-1], starts[0][-1]))
        X, y, constraints = self.X, self.y, []
        if position is not None and position >= count:
            column = position - count
            X, y = np.delete(X, column, axis=1), y - value * X[:, column]
        elif position is not None:

            def excess(x):
                held = self.sdcor(x[:-1], x[-1])[position]
                return held - value if abs(value) < 1 else np.log(max(held, 1e-300) / value)

            constraints = [{"type": "eq", "fun": excess}]
        with np.errstate(all="ignore"):  # the line search tries absurd values
            results = [
                scipy.optimize.minimize(
                    lambda x: self.deviance(x[:-1], x[-1], X, y),
                    start,
                    method="SLSQP",
                    constraints=constraints,
                    options={"ftol": 1e-13, "maxiter": 500},
                )
                for start in starts
            ]
        found = [r.fun for r in results if not constraints or abs(excess(r.x)) < 1e-8]
        return min(found, default=np.nan)
