"""The expected Fisher information of a design, subject by subject, from the model made linear in η.

With f ≈ f(θ, η₀) + G (η - η₀) and V = G Ω Gᵀ + R, G = ∂f/∂η, all at some η₀ (0 in first order):

    full      M_ab = ∂_a fᵀ V⁻¹ ∂_b f + ½ tr(V⁻¹ ∂_a V V⁻¹ ∂_b V)
    reduced   the same without ∂V/∂θ, so that θ and the variances are apart (block diagonal)

The mean of the linear model, f - G η₀, moves with θ as f does: G is held. To let it move would find information on a
typical value that no number of samples can give, more than N/ω² on the scale of η.

(Mentré, Mallet & Baccar 1997, Biometrika 84:429; Retout & Mentré 2003, J Biopharm Stat 13:209; the two kinds: Nyberg et
al. 2015, Br J Clin Pharmacol 79:6.) Derivatives are exact: V moves with θ through G, by the second derivatives of f.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import variances
from workbench.engine.problem.scale import Point
from workbench.engine.problem.views import of_subjects

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Expansion:
    """Predictions of one subject, with what follows from them by record, at S random effects.

    Attributes
    ----------
    f : float64[S, n]; fu : float64[S, n, D]; fuu : float64[S, n, D, D]
    R, R_f : float64[S, n]; R_s : float64[S, n, C]
        Residual variance with its derivatives by f and by its own row of σ.
    response : int64[n]
    A : float64[D, M]; B : float64[D, Q]
        ∂u/∂θ and ∂u/∂η.
    """

    f: Array
    fu: Array
    fuu: Array
    R: Array
    R_f: Array
    R_s: Array
    response: Index
    A: Array
    B: Array

    def at(self, records: Index) -> Expansion:
        """The same for k choices of records, int64[k, n'], whose responses are alike: S·k in all, S by S."""
        n = records.shape[1]
        of_record = (values[:, records] for values in (self.f, self.fu, self.fuu, self.R, self.R_f, self.R_s))
        f, fu, fuu, R, R_f, R_s = (values.reshape(-1, n, *values.shape[3:]) for values in of_record)
        return Expansion(f, fu, fuu, R, R_f, R_s, self.response[records[0]], self.A, self.B)


def expansions(problem: Problem, point: Point, eta: Array) -> list[Expansion]:
    """Expand every subject at random effects eta[S, N, Q]."""
    S, N, D = len(eta), problem.n_subjects, problem.n_coordinates
    mean, slopes = problem.layout.mean(point.theta)
    many = of_subjects(problem, np.tile(np.arange(N), S)) if S > 1 else problem
    u = mean + np.einsum("idq,siq->sid", problem.layout.B, eta)
    n = many.schedule.n_slots
    f, fu, fuu = np.empty(n), np.zeros((n, D)), np.zeros((n, D, D))
    many.predict(np.arange(S * N), np.ascontiguousarray(u.reshape(S * N, D)), 2, f, fu, fuu)
    seen = many.observations
    R, R_f, R_s = np.empty(n), np.empty(n), np.zeros((n, point.sigma.shape[1]))
    variances(seen.kind, seen.response, f, point.sigma, R, R_f, R_s)
    first, each = problem.observations.first, n // S

    def part(values: Array, i: int) -> Array:
        return values.reshape(S, each, *values.shape[1:])[:, first[i] : first[i + 1]]

    found = []
    for i in range(N):
        f_i, fu_i, fuu_i, R_i, R_f_i, R_s_i = (part(values, i) for values in (f, fu, fuu, R, R_f, R_s))
        response = problem.observations.response[first[i] : first[i + 1]]
        layout = problem.layout
        found.append(Expansion(f_i, fu_i, fuu_i, R_i, R_f_i, R_s_i, response, slopes[i], layout.B[i]))
    return found


def information(problem: Problem, point: Point, at: Expansion, reduced: bool) -> Array:
    """Information on x of one subject, for each of S random effects, float64[S, size, size].

    NaN where predictions are not numbers, or V is not positive definite.
    """
    scale, L = problem.scale, point.L
    S, n = at.f.shape
    M, Q, (responses, C) = at.A.shape[1], L.shape[0], point.sigma.shape
    G = at.fu @ at.B
    fA = at.fu @ at.A  # ∂f/∂θ, [S, n, M]
    E_x = scale.gradient(point, fA, np.zeros((S, n, Q, Q)), np.zeros((S, n, responses, C)))
    GL = G @ L
    V = GL @ GL.transpose(0, 2, 1)
    j = np.arange(n)
    V[:, j, j] += at.R
    V_theta = np.zeros((S, n, n, M))
    if not reduced:
        dG = at.A.T @ (at.fuu @ at.B)  # [S, n, M, Q]
        half = ((dG @ L).reshape(S, n * M, Q) @ GL.transpose(0, 2, 1)).reshape(S, n, M, n).transpose(0, 1, 3, 2)
        V_theta = half + half.transpose(0, 2, 1, 3)
        V_theta[:, j, j] += at.R_f[..., None] * fA
    half_L = np.einsum("sjp,skq->sjkpq", G, GL)
    V_L = half_L + half_L.transpose(0, 2, 1, 3, 4)
    V_sigma = np.zeros((S, n, n, responses, C))
    V_sigma[:, j, j, at.response] = at.R_s
    V_x = scale.gradient(point, V_theta, V_L, V_sigma)
    inverse = np.linalg.inv(_factors(V))[:, None]
    mean = inverse[:, 0] @ E_x
    spread = (inverse @ V_x.transpose(0, 3, 1, 2) @ inverse.transpose(0, 1, 3, 2)).reshape(S, scale.size, n * n)
    return np.asarray(mean.transpose(0, 2, 1) @ mean + 0.5 * spread @ spread.transpose(0, 2, 1))


def _factors(V: Array) -> Array:
    """Lower factors of matrices[S, n, n]; NaN of those that are not positive definite."""
    try:
        return np.asarray(np.linalg.cholesky(V))
    except np.linalg.LinAlgError:
        found = np.full_like(V, np.nan)
        for s, matrix in enumerate(V):
            with suppress(np.linalg.LinAlgError):
                found[s] = np.linalg.cholesky(matrix)
        return found
