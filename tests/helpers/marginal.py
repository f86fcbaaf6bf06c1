"""Inference by n x n matrices: Satterthwaite's and Kenward and Roger's numbers, slow and readable.

Everything follows from the marginal distribution y ~ N(X beta, S), S = sigma^2 (Z Lambda Lambda'Z'
+ W^-1), and its derivatives, written down as matrices; nothing is shared with the engine but the
order of theta.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oracle import Factor, Term, lambda_matrix, n_theta, theta_positions, z_matrix


@dataclass(frozen=True)
class Marginal:
    """A linear mixed model at one theta and sigma; X has full column rank."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    factors: list[Factor]
    terms: list[Term]
    theta: np.ndarray
    sigma: float
    reml: bool

    @classmethod
    def of(cls, model) -> Marginal:
        """Take a fitted `crossnest.LinearMixedModel` apart."""
        design = model.design
        n = len(design.y)
        return cls(
            model.model_matrix("fixed").to_numpy(),
            design.y - (0.0 if design.offset is None else design.offset),
            np.ones(n) if design.weights is None else design.weights,
            [(factor.codes, factor.n_levels) for factor in design.factors],
            [(term.factor, list(term.columns), term.term.covariance) for term in design.random],
            model.theta.to_numpy(),
            model.sigma,
            model.reml,
        )

    @cached_property
    def Z(self) -> np.ndarray:
        return z_matrix(self.factors, self.terms)

    def root(self, theta: np.ndarray) -> np.ndarray:
        """Compute Z Lambda, which is linear in theta."""
        return self.Z @ lambda_matrix(self.factors, self.terms, theta)

    @cached_property
    def S_inv(self) -> np.ndarray:
        root = self.root(self.theta)
        return np.linalg.inv(self.sigma**2 * (root @ root.T + np.diag(1 / self.weights)))

    @cached_property
    def Phi(self) -> np.ndarray:
        """Covariance matrix of beta."""
        return np.linalg.inv(self.X.T @ self.S_inv @ self.X)

    @cached_property
    def P(self) -> np.ndarray:
        half = self.S_inv @ self.X
        return self.S_inv - half @ self.Phi @ half.T

    # -- in theta and sigma

    def _theta_derivatives(self) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
        """Compute dS and d2S with respect to (theta, sigma)."""
        s, root = self.sigma, self.root(self.theta)
        units = [self.root(e) for e in np.eye(n_theta(self.terms))]
        S = np.linalg.inv(self.S_inv)
        first = [s**2 * (unit @ root.T + root @ unit.T) for unit in units]
        second = [[s**2 * (a @ b.T + b @ a.T) for b in units] for a in units]
        for row, own in zip(second, first, strict=True):
            row.append(2 * own / s)
        second.append([2 * own / s for own in first] + [2 * S / s**2])
        return [*first, 2 * S / s], second

    @cached_property
    def jacobian(self) -> np.ndarray:
        """Derivatives of Phi with respect to (theta, sigma), (m + 1, p, p)."""
        half = self.S_inv @ self.X @ self.Phi
        return np.array([half.T @ d @ half for d in self._theta_derivatives()[0]])

    @cached_property
    def hessian(self) -> np.ndarray:
        """Hessian of the deviance or REML criterion in (theta, sigma)."""
        first, second = self._theta_derivatives()
        inner = self.P if self.reml else self.S_inv
        Py = self.P @ self.y
        products = [inner @ d for d in first]
        H = np.empty((len(first), len(first)))
        for a, left in enumerate(products):
            for b, right in enumerate(products):
                H[a, b] = np.sum(inner * second[a][b]) - np.sum(left * right.T)
                H[a, b] += 2 * Py @ first[a] @ self.P @ first[b] @ Py - Py @ second[a][b] @ Py
        return H

    # -- in the variances and covariances

    @cached_property
    def G(self) -> list[np.ndarray]:
        """dS with respect to the entries of the terms' covariance matrices, and sigma^2."""
        matrices = []
        start = 0
        for f, columns, structure in self.terms:
            levels, k = self.factors[f][1], len(columns)
            Z = self.Z[:, start : start + levels * k].reshape(-1, levels, k)
            start += levels * k
            for i, j in theta_positions(k, structure):
                one = Z[:, :, i] @ Z[:, :, j].T
                matrices.append(one if i == j else one + one.T)
        return [*matrices, np.diag(1 / self.weights)]

    def varpar_vcov(self, information: str) -> np.ndarray:
        """Invert the REML information on the variances and covariances: Kenward and Roger's W."""
        products = [self.P @ G for G in self.G]
        expected = np.array([[np.sum(a * b.T) for b in products] for a in products]) / 2
        if information == "expected":
            return np.linalg.inv(expected)
        Py = self.P @ self.y
        observed = [[Py @ a @ self.P @ b @ Py for b in self.G] for a in self.G]
        return np.linalg.inv(np.array(observed) - expected)

    @cached_property
    def KR_P(self) -> np.ndarray:
        half = self.S_inv @ self.X
        return np.array([-half.T @ G @ half for G in self.G])

    def adjusted_vcov(self, W: np.ndarray) -> np.ndarray:
        """Compute Phi_A of Kenward and Roger (1997), section 2."""
        half = self.S_inv @ self.X
        total = np.zeros_like(self.Phi)
        for r, G_r in enumerate(self.G):
            for s, G_s in enumerate(self.G):
                Q = half.T @ G_r @ self.S_inv @ G_s @ half
                total += W[r, s] * (Q - self.KR_P[r] @ self.Phi @ self.KR_P[s])
        return self.Phi + 2 * self.Phi @ total @ self.Phi

    def kenward_roger_f(self, L: np.ndarray, beta: np.ndarray, W: np.ndarray):
        """Compute F, its scaling and its denominator degrees of freedom, L of full row rank."""
        q = len(L)
        Theta = L.T @ np.linalg.solve(L @ self.Phi @ L.T, L)
        A1 = A2 = 0.0
        for r, P_r in enumerate(self.KR_P):
            for s, P_s in enumerate(self.KR_P):
                left, right = Theta @ self.Phi @ P_r @ self.Phi, Theta @ self.Phi @ P_s @ self.Phi
                A1 += W[r, s] * np.trace(left) * np.trace(right)
                A2 += W[r, s] * np.trace(left @ right)
        B = (A1 + 6 * A2) / (2 * q)
        g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
        c1, c2, c3 = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
        mean = 1 / (1 - A2 / q)
        variance = 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
        rho = variance / (2 * mean**2)
        df = 4 + (q + 2) / (q * rho - 1)
        estimate = L @ beta
        F = estimate @ np.linalg.solve(L @ self.adjusted_vcov(W) @ L.T, estimate) / q
        return F, df / (mean * (df - 2)), df
