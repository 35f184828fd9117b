"""The second stage: how the subjects' own values vary, h(p_i) = A_i θ + B_i η_i, η_i ~ N(0, Ψ).

Standard: least squares in θ, and the covariance of what is left. It takes the own values as exact, so that their errors
add to Ψ. Global (Steimer, Mallet, Golmard & Boisvieux 1984, Drug Metab Rev 15:265; Davidian & Giltinan 1995, Nonlinear
Models for Repeated Measurement Data, section 5.3.2): own values u_i with covariances C_i are u_i ~ N(A_i θ, V_i),
V_i = C_i + B_i Ψ B_iᵀ, and θ and Ψ are those of maximum likelihood. The papers go there by EM; here

    OFV_i = l_i(u_i) + log|V_i| - log|C_i| + r_iᵀ V_i⁻¹ r_i,    r_i = u_i - A_i θ,

has its exact gradient and is minimised like any other objective. It is what the marginal likelihood becomes where l_i
is replaced by the parabola at its own minimum (its curvature that of the expected information).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.methods.own_values import OwnValues, error_covariance, with_fixed_alike
from workbench.engine.objectives.objective import Evaluation, Objective
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.psi import Psi
from workbench.engine.problem.residual import treatment_of
from workbench.engine.problem.scale import Point
from workbench.errors import FitError, ModelError
from workbench.methods import USUAL
from workbench.model import Model
from workbench.model.transform import LOG
from workbench.results.fit import FitResult
from workbench.results.tables import Estimate

Array = NDArray[np.float64]

_DEPENDENT = 1e-8  # singular value, relative, below which the covariates of the subjects do not determine θ
_LEAST = 1e-4  # standard deviation of η, relative, that a search for Ψ can start from


def second_stage_model(model: Model, own: OwnValues) -> Model:
    """The model whose θ and Ψ are estimated; its residual error is that of the first stage.

    Raises
    ------
    ModelError
        If it has random effects between occasions, or shared ones.
    """
    model = with_fixed_alike(model)
    for parameter in model.parameters:
        what = "a random effect between occasions (iov)" if parameter.iov is not None else ""
        what = "a shared random effect" if parameter.share is not None else what
        if what:
            raise ModelError(
                f"{parameter.name} has {what}; two-stage knows one value per subject, each with an effect of its own. "
                f"Leave it out, or use method={USUAL!r}."
            )
    errors = []
    for k, error in enumerate(model.errors):
        places = treatment_of(error).places
        values = {name: float(own.sigma[k, places[name]]) for name in error.names}
        errors.append(replace(error.with_values(values), fixed=error.names))
    one = len(errors) == 1
    return model.with_error(errors[0] if one else dict(zip(model.structure.responses, errors, strict=True)))


class SecondStage:
    """-2 log-likelihood of own values with known covariances; stands where an `Objective` does.

    Attributes
    ----------
    problem : Problem
        Of the model whose θ and Ψ are estimated; its σ is fixed.

    Raises
    ------
    ModelError
        If a covariate changes within a subject.
    FitError
        If fewer than two subjects have values.
    """

    def __init__(self, model: Model, data: GroupedData, own: OwnValues, kind: str):
        self.problem: Problem = compile(model, data)
        self.own, self.minimised, self.tolerance, self.evaluations = own, kind == "global", 0.0, 0
        self.grain = 0.0
        self._modes: tuple[Objective, Evaluation] | None = None
        if self.problem.n_coordinates != len(own.names):
            raise ModelError(
                "A covariate changes within subjects, but two-stage knows one value of a parameter per subject. Leave "
                "the effect out, or use method={USUAL!r}."
            )
        if len(own.found) < 2:
            raise FitError("Only one subject could be fitted alone: it does not show how subjects vary.")

    def evaluate(self, x: Array) -> Evaluation:
        """Objective and gradient at x; `zeta` is the conditional mean of ζ, 0 for subjects without values."""
        problem, own, at = self.problem, self.own, self.own.found
        N, Q = problem.n_subjects, problem.n_random
        point = problem.scale.point(x)
        mean, slopes = problem.layout.mean(point.theta)
        B = problem.layout.B[at]
        Bl, C = B @ point.L, own.covariance[at]
        V = C + Bl @ Bl.transpose(0, 2, 1)
        by_theta, by_L = np.zeros((N, slopes.shape[2])), np.zeros((N, Q, Q))
        zeta, by_subject = np.zeros((N, Q)), np.full(N, np.nan)
        r = own.u[at] - mean[at]
        with np.errstate(all="ignore"):
            inverse = np.linalg.inv(V)
            s = np.einsum("ipk,ik->ip", inverse, r)
            logs = np.linalg.slogdet(V)[1] - np.linalg.slogdet(C)[1]
            by_subject[at] = own.by_subject[at] + logs + (r * s).sum(axis=1)
            by_theta[at] = -2.0 * np.einsum("ipm,ip->im", slopes[at], s)
            by_L[at] = 2.0 * B.transpose(0, 2, 1) @ (inverse - s[:, :, None] * s[:, None, :]) @ Bl
            zeta[at] = np.einsum("ipq,ip->iq", Bl, s)
        scores = problem.scale.gradient(point, by_theta, by_L, np.zeros((N, *point.sigma.shape)))
        self.evaluations += 1
        total = float(by_subject[at].sum())
        return Evaluation(
            x, point, mean, total, scores.sum(axis=0), by_subject, scores, zeta, np.full(N, np.inf), None, 0
        )  # fmt: skip

    def accept(self, evaluation: Evaluation) -> None:
        """Nothing: there is no search within."""

    def deepen(self, at: Evaluation) -> Evaluation:
        """The same evaluation."""
        return at

    def following(self) -> SecondStage:
        """The same one: it has no modes to search."""
        return self

    def modes(self, at: Evaluation) -> Evaluation:
        """Those of FOCEI at the same estimates."""
        return self._at_modes(at)[1]

    def _at_modes(self, at: Evaluation) -> tuple[Objective, Evaluation]:
        if self._modes is None or not np.array_equal(self._modes[1].x, at.x):
            objective = Objective(self.problem)
            self._modes = objective, objective.evaluate(at.x)
        return self._modes

    def linearisation(self, at: Evaluation) -> tuple[Array, Array]:
        """That of FOCEI at the same estimates."""
        objective, modes = self._at_modes(at)
        return objective.linearisation(modes)

    def accuracy(self, at: Evaluation) -> str:
        """What the OFV is."""
        found = "is what global two-stage minimises" if self.minimised else "is not what standard two-stage minimises"
        said = f"The OFV takes the likelihood of each subject as normal around its own values; it {found}."
        return f"{said} {self.own.partial}".strip()

    def completed(self, result: FitResult, model: Model, gone: tuple[str, ...]) -> FitResult:
        """The result with what the first stage estimated, the residual error, among its estimates.

        `model` is the one that was given, for what of its error is fixed; `gone` is what of the error went to 0.
        """
        own, names, held = self.own, self.problem.scale.quantities, self.problem.scale.fixed
        free = [e.label for e in own.problem.scale.errors if e.free]
        first = error_covariance(own, gone)
        se = dict(zip(free, np.sqrt(np.diag(first)), strict=True))
        lines = tuple(
            Estimate(e.name, e.value, se[e.name], *LOG.interval(e.value, se[e.name]), False, e.kind)
            if e.name in se and e.kind == "error"
            else e
            for e in result.lines
        )
        covariance, reason = result.covariance, result.se_reason
        if covariance is not None:
            errors = [name.kind == "error" and name.label in se for name in names]
            labels = [name.label for name, fixed, own_ in zip(names, held, errors, strict=True) if own_ or not fixed]
            second = [label not in free for label in labels]
            whole = np.zeros((len(labels), len(labels)))
            whole[np.ix_(np.flatnonzero(second), np.flatnonzero(second))] = covariance
            rest = [k for k, is_second in enumerate(second) if not is_second]
            whole[np.ix_(rest, rest)] = first
            covariance = whole
            if gone:
                reason = f"{reason} None for {', '.join(gone)}, at the edge of what is possible.".strip()
            rest_free = [label for label in free if label not in gone]
            if not all(np.isfinite(se[label]) for label in rest_free):
                reason = f"{reason} None for {', '.join(rest_free)}: the subjects alone do not tell.".strip()
        else:
            lines = tuple(e._replace(se=np.nan, lower=np.nan, upper=np.nan) for e in lines)
        estimated = result.model
        for response, error, given in zip(model.structure.responses, estimated.errors, model.errors, strict=True):
            several = response if len(model.errors) > 1 else None
            estimated = estimated.with_error(replace(error, fixed=given.fixed), response=several)
        return replace(
            result, lines=lines, covariance=covariance, se_reason=reason, model=estimated,
            evaluations=result.evaluations + own.rounds,
        )  # fmt: skip

    # -- the standard two stages -------------------------------------------------------------------------------

    def standard(self) -> tuple[Array, Array | None, str]:
        """θ by least squares and Ψ from what it leaves.

        Returns
        -------
        x : float64[size]
        covariance : float64[names, names] or None
            Of all reported quantities, natural scale; 0 where fixed.
        reason : str
            Why there is none.

        Raises
        ------
        FitError
            If there are no more subjects than coefficients of a parameter.
        """
        problem, own, scale = self.problem, self.own, self.problem.scale
        at, free = own.found, scale.theta_free
        theta = scale.theta_fixed.copy()
        N, P = len(at), len(own.names)
        for _ in range(30):  # one is enough where no effect is fractional
            mean, slopes = problem.layout.mean(theta)
            M = slopes[at][:, :, free].reshape(N * P, -1)
            step, _, rank, _ = np.linalg.lstsq(M, (own.u[at] - mean[at]).ravel(), rcond=_DEPENDENT)
            theta[free] += step
            if not np.abs(step).max(initial=0.0) > 1e-12 * (1.0 + np.abs(theta).max()):
                break
        mean, slopes = problem.layout.mean(theta)
        r, M = own.u[at] - mean[at], slopes[at][:, :, free]
        if not np.isfinite(r).all():
            raise FitError("No coefficients of the covariates were found for the subjects' own values.")
        df = N - np.array([np.abs(M[:, p]).any(axis=0).sum() for p in range(P)])
        if (df < 1).any():
            short = own.names[int(np.argmin(df))]
            raise FitError(f"{N} subjects with own values do not determine {N - df.min()} coefficients of {short}.")
        S = r.T @ r / np.sqrt(np.outer(df, df))
        x, L = self._vector(theta, S)
        if rank < free.sum():
            return x, None, "none: the covariates of these subjects do not determine the coefficients."
        G = M.reshape(N * P, -1)
        bread = np.linalg.inv(G.T @ G)
        meat = np.einsum("ipm,pq,iqk->mk", M, S, M)
        natural = np.array([n.natural(float(v))[1] for n, v in zip(scale.thetas, theta, strict=True)])
        covariance = np.zeros((len(scale.quantities), len(scale.quantities)))
        place = np.flatnonzero(free)
        covariance[np.ix_(place, place)] = bread @ meat @ bread * np.outer(natural[free], natural[free])
        rows = [own.names.index(name) for name in scale.subject.names]
        part = _psi_covariance(scale.subject, L, S[np.ix_(rows, rows)], df[rows])
        first = len(scale.thetas)
        covariance[first : first + len(part), first : first + len(part)] = part
        return x, covariance, ""

    def _vector(self, theta: Array, S: Array) -> tuple[Array, Array]:
        """x at θ and at the Ψ nearest to S, float64[P, P], that the model can state; and the L of that."""
        scale, psi = self.problem.scale, self.problem.scale.subject
        rows = [self.own.names.index(name) for name in psi.names]
        L = psi.factor(S[np.ix_(rows, rows)], _LEAST * self.own.unit[rows])
        return scale.vector(Point(theta, L, scale.sigma)), L


def _psi_covariance(psi: Psi, L: Array, S: Array, df: Array) -> Array:
    """Covariance of the reported standard deviations and correlations, from that of a Wishart matrix; 0 where fixed."""
    pairs = [(r, r) for r in psi.own] + psi.pairs
    with np.errstate(all="ignore"):
        count = np.sqrt(np.outer(df, df))
        entries = np.array([[(S[i, k] * S[j, m] + S[i, m] * S[j, k]) / np.sqrt(count[i, j] * count[k, m])
                             for k, m in pairs] for i, j in pairs]).reshape(len(pairs), len(pairs))  # fmt: skip
        slopes, deviation = np.zeros_like(entries), np.sqrt(np.diag(S))
        place = {pair: k for k, pair in enumerate(pairs)}
        for k, (i, j) in enumerate(pairs):
            if i == j:
                slopes[k, k] = 0.5 / deviation[i]
                continue
            correlation = S[i, j] / (deviation[i] * deviation[j])
            slopes[k, k] = 1.0 / (deviation[i] * deviation[j])
            slopes[k, place[i, i]] = -0.5 * correlation / S[i, i]
            slopes[k, place[j, j]] = -0.5 * correlation / S[j, j]
        covariance = slopes @ entries @ slopes.T
    fixed = np.array(psi.fixed, dtype=bool)
    covariance[fixed] = covariance[:, fixed] = 0.0
    return np.asarray(covariance)
