"""What covariates would do to the likelihood, predicted from the base fit: a small linear mixed model for each.

Around the modes η̂ of the base fit the prediction is linear in the coordinates u of the parameters (see
`workbench.engine.layout`), and what a record adds to the likelihood, L, is quadratic in the prediction:

    L_j ≈ L + L'·d + w·d²,   d = (∂f/∂u)·(u - û),   u = a(θ) + B η,   w as in the objective (FOCEI: 1/R + ½ (R'/R)²)

(Svensson & Karlsson 2014, J Pharmacokinet Pharmacodyn 41:223; Khandelwal et al. 2011, AAPS J 13:464, who keep the
residual error as a function of f). At the base fit this has its modes and its objective. With a covariate in a(θ) all
estimates are found again: θ, Ψ, and one scale of the residual variance for each response. Records enter as sums over
a subject, so that a candidate costs milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import chi2

from workbench.engine.predictions.machine import kernel
from workbench.engine.problem.compile import compile
from workbench.engine.problem.problem import Problem
from workbench.engine.problem.residual import MEASURED, record, variance
from workbench.errors import FitError, WorkbenchError
from workbench.markup import Shown
from workbench.methods import Subjects, method_of
from workbench.model import Model
from workbench.results.fit import FitResult
from workbench.screening.scope import Candidate, RefusedEffect, Scope, candidates

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data import GroupedData

Array = NDArray[np.float64]

_GRADIENT = 2e-3  # in standard errors: leaves about 1e-5 of the objective
_RIDGE = 0.05  # of the diagonal, added to the information that the scores of few subjects give
_MOST_ITERATIONS = 60


class Prediction(NamedTuple):
    """What an effect is expected to do.

    Attributes
    ----------
    delta_ofv : float
        By how much the OFV would fall; NaN where it could not be computed.
    df : int
        Coefficients.
    p : float
        Of χ²(df).
    coefficient : tuple of float
    """

    parameter: str
    covariate: str
    shape: str
    delta_ofv: float
    df: int
    p: float
    coefficient: tuple[float, ...]

    @property
    def candidate(self) -> Candidate:
        """The effect."""
        return Candidate(self.parameter, self.covariate, self.shape)


@dataclass(frozen=True, repr=False)
class LinearisedScreen(Shown):
    """Predicted drops of the OFV by candidate, the largest first.

    Attributes
    ----------
    predictions : tuple of Prediction
    refused : tuple of RefusedEffect
        Effects of the scope that could not be tried, with the reason.
    asked : int
        How many there were to be; fewer are there if it was stopped.
    """

    predictions: tuple[Prediction, ...]
    refused: tuple[RefusedEffect, ...]
    asked: int

    @property
    def table(self) -> pd.DataFrame:
        """One row per candidate: parameter, covariate, shape, delta_ofv, df, p, coefficient.

        `coefficient` is a number, or a tuple where the shape has several.
        """
        import pandas as pd

        frame = pd.DataFrame(self.predictions, columns=list(Prediction._fields))
        single = [c[0] if len(c) == 1 else c for c in frame["coefficient"]]
        return frame.assign(coefficient=pd.Series(single, index=frame.index, dtype=object).infer_objects())

    def __getitem__(self, which: Candidate | tuple[str, str] | tuple[str, str, str]) -> Prediction:
        """The prediction of an effect, or of a parameter and a covariate, in the shape named or the best one."""
        parts = _parts(which) if isinstance(which, Candidate) else tuple(which)
        found = [p for p in self.predictions if _parts(p.candidate)[: len(parts)] == parts]
        if not found:
            raise KeyError(str(which))
        return max(found, key=lambda p: p.delta_ofv)

    def _head(self) -> str:
        stopped = f" of {self.asked}" if len(self.predictions) < self.asked else ""
        return f"Predicted from the linearised likelihood: {len(self.predictions)}{stopped} effects"

    def _shown(self) -> list[str | pd.DataFrame]:
        return [self._head(), self.table, *not_tried(self.refused)]


def not_tried(refused: tuple[RefusedEffect, ...]) -> list[str]:
    """Lines on what was refused, a covariate on several parameters once."""
    on: dict[tuple[str, str], list[str]] = {}
    for r in refused:
        on.setdefault((r.covariate, r.reason), []).append(r.parameter)
    return [
        f"Not tried: {covariate} on {', '.join(dict.fromkeys(parameters))}. "
        f"{reason[:1].upper()}{reason[1:].removesuffix('.')}."
        for (covariate, reason), parameters in on.items()
    ]


def linearised_screen(
    fit: FitResult, scope: Scope | None = None, *, callback: Callable[[int, int], object] | None = None
) -> LinearisedScreen:
    """Predict the drop of the OFV for each covariate effect, without a fit.

    Parameters
    ----------
    fit : FitResult
        The base; with or without covariates. An effect that it has already is left out.
    scope : dict of str to list of str or (str, str), optional
        By parameter, covariates or pairs of a covariate and its shape (those of `Model.with_covariate`). None: all
        covariates that vary, on all parameters with a random effect, in their usual shape.
    callback : callable, optional
        Called with (done, all); stops by returning something true, and what is done is kept.

    Returns
    -------
    LinearisedScreen

    Raises
    ------
    FitError
        If the base cannot be linearised.
    ModelError
        If the scope names what is not there.

    Examples
    --------
    >>> import workbench as wb
    >>> data = wb.load_example("theophylline")
    >>> model = wb.Model(wb.pk(absorption="first-order"))
    >>> fit = wb.fit(model, data)
    >>> predicted = wb.linearised_screen(fit, {"V": ["WT"]})
    >>> predicted["V", "WT"].delta_ofv > 0
    True
    """
    if not isinstance(fit, FitResult):
        raise FitError(f"The base is a fit as wb.fit(…) gives it, got {type(fit).__name__}.")
    tried, refused = candidates(fit.model, fit.data, scope)
    tried = [candidate for candidate in tried if not candidate.effects(fit.model)]
    base = Linearisation(fit)
    found: list[Prediction] = []
    for done, candidate in enumerate(tried, 1):
        try:
            found.append(base.predict(candidate)[0])
        except WorkbenchError as error:
            refused.append(RefusedEffect(*_parts(candidate), " ".join(str(error).split())))
        if callback is not None and callback(done, len(tried)):
            break
    found.sort(key=lambda p: p.delta_ofv, reverse=True)
    return LinearisedScreen(tuple(found), tuple(refused), len(tried))


def _parts(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.parameter, candidate.covariate, candidate.shape


class Linearisation:
    """The linear mixed model around a fit.

    Parameters
    ----------
    fit : FitResult

    Attributes
    ----------
    ofv : float
        Of the linear model at its own minimum; that of the fit, but for how H changes with the modes.
    """

    def __init__(self, fit: FitResult):
        self._method = method_of(fit.method)
        if self._method.subjects is Subjects.ALONE:
            raise FitError("Subjects fitted alone are no population: linearise a fit by another method.")
        self.fit, self.model = fit, fit.model
        problem = compile(self._method.fitted(fit.model), fit.data)
        eta = np.zeros_like(fit.eta_matrix) if self._method.approximation.linear else fit.eta_matrix
        self._eta = eta[:, : problem.n_random]
        f = problem.analysed(problem.predictions(problem.scale.point(problem.x), self._eta))
        self._records = self._second_order(problem, f)
        if not np.isfinite(self._records).all():
            raise FitError("The fit cannot be linearised: a prediction or its variance is not a number there.")
        base = _Linear(problem, self._eta, self._records)
        self._z, self.ofv = base.minimise(base.start)
        self._begun = base, self._z

    def _second_order(self, problem: Problem, f: Array) -> Array:
        """Constant, slope and curvature of L by f at each record: what goes with 1/s, and what does not; [n, 6]."""
        seen, sigma = problem.observations, problem.scale.point(problem.x).sigma
        interaction = self._method.approximation.interaction
        f0 = problem.analysed(problem.predictions(problem.scale.point(problem.x)))
        R0 = problem.residual_variance(problem.scale.point(problem.x), f0)
        out = np.empty((len(f), 6))
        _expand(interaction, seen.what, seen.kind, seen.response, seen.y, seen.upper, f, sigma, R0, out)
        return out

    def predict(self, candidate: Candidate) -> tuple[Prediction, Model]:
        """What an effect would do, and the model with it at the estimates of the linear model.

        Raises
        ------
        WorkbenchError
            If the model with it cannot be computed.
        """
        found, delta = self.refitted(candidate.added_to(self.model))
        values = [v for effect in candidate.effects(found) for v in effect.value or ()]
        p = float(chi2.sf(max(delta, 0.0), len(values)))
        return Prediction(*_parts(candidate), delta, len(values), p, tuple(values)), found

    def refitted(self, larger: Model, data: GroupedData | None = None) -> tuple[Model, float]:
        """A model with more covariate effects at the estimates of the linear model, and by how much the OFV falls.

        Parameters
        ----------
        larger : Model
        data : GroupedData, optional
            The data of the fit with other covariates.

        Raises
        ------
        WorkbenchError
            If the model cannot be computed.
        """
        data = self.fit.data if data is None else data
        larger = larger.with_centred(data)
        problem = compile(self._method.fitted(larger), data)
        linear = _Linear(problem, self._eta, self._records)
        z, ofv = linear.minimise(linear.moved(*self._begun))
        return problem.scale.model_at(larger, linear.x(z)), self.ofv - ofv


@kernel
def _expand(interaction, what, kind, response, y, upper, f, sigma, R0, out):
    """Fill out[n, 6]; see `Linearisation._second_order`. L = e²/(s·R) + log R for what was measured."""
    for j in range(len(f)):
        k = response[j]
        if what[j] != MEASURED:
            L, L1, _, w, _ = record(interaction, what[j], kind[k], y[j], upper[j], f[j], sigma, k, R0[j])
            out[j, :3] = 0.0
            out[j, 3], out[j, 4], out[j, 5] = L, L1, w
            continue
        R, R1 = R0[j], 0.0
        if interaction:
            R, R1, _ = variance(kind[k], f[j], sigma, k)
        e, share = y[j] - f[j], R1 / R
        out[j, 0] = e * e / R
        out[j, 1] = -2.0 * e / R - e * e * share / R
        out[j, 2] = 1.0 / R
        out[j, 3], out[j, 4], out[j, 5] = math.log(R), share, 0.5 * share * share


class _Linear:
    """The objective of the linear model by z: the x of the problem, its errors replaced by log s of each response.

    Sums over the records of a subject, for the part K that goes with 1/s of response k and, last, the rest: constants
    [K + 1, N], slopes by u [K + 1, N, D] and curvatures [K + 1, N, D, D].
    """

    def __init__(self, problem: Problem, eta: Array, records: Array):
        self.problem, layout, seen = problem, problem.layout, problem.observations
        N, D, n = problem.n_subjects, problem.n_coordinates, len(problem.y)
        self._point = problem.scale.point(problem.x)
        self._mean, _ = layout.mean(self._point.theta)
        self._shift = np.einsum("idq,iq->id", layout.B, eta)
        f, fu = np.empty(n), np.zeros((n, D))
        problem.predict(np.arange(N), self._mean + self._shift, 1, f, fu, np.zeros((n, D, D)))
        owner = np.repeat(np.arange(N), np.diff(seen.first))
        K = len(seen.kind)
        self.constant, self.slope = np.zeros((K + 1, N)), np.zeros((K + 1, N, D))
        self.curve = np.zeros((K + 1, N, D, D))
        for k in range(K + 1):
            which = seen.response == k if k < K else np.ones(n, dtype=bool)
            at = slice(0, 3) if k < K else slice(3, 6)
            parts, mine, slopes = records[which, at], owner[which], fu[which]
            np.add.at(self.constant[k], mine, parts[:, 0])
            np.add.at(self.slope[k], mine, parts[:, 1, None] * slopes)
            np.add.at(self.curve[k], mine, parts[:, 2, None, None] * slopes[:, :, None] * slopes[:, None, :])
        self._begin, self._count = problem.scale.size - sum(e.free for e in problem.scale.errors), np.zeros((K, N))
        scaled = [k for k in range(K) if any(e.free and e.response == k for e in problem.scale.errors)]
        self._scaled = np.array(scaled, dtype=np.int64)
        for k in scaled:
            measured = (seen.response == k) & (seen.what == MEASURED)
            self._count[k] = np.bincount(owner[measured], minlength=N)
        self.start = np.concatenate([problem.x[: self._begin], np.zeros(len(scaled))])

    def moved(self, base: _Linear, z: Array) -> Array:
        """z of a smaller model, with what is new where this one starts."""
        known = dict(zip(base.problem.scale.labels_of_x[: base._begin], z, strict=False))
        labels = self.problem.scale.labels_of_x[: self._begin]
        head = [known.get(label, own) for label, own in zip(labels, self.start, strict=False)]
        return np.array([*head, *z[base._begin :]])

    def x(self, z: Array) -> Array:
        """x of the problem; the parts of a residual error all have the root of its scale."""
        x = self.problem.x.copy()
        x[: self._begin] = z[: self._begin]
        scales = dict(zip(self._scaled.tolist(), z[self._begin :].tolist(), strict=True))
        free = [entry for entry in self.problem.scale.errors if entry.free]
        for m, entry in enumerate(free, self._begin):
            if entry.is_deviation:
                x[m] += 0.5 * scales[entry.response]
        return x

    def evaluate(self, z: Array) -> tuple[float, Array]:
        """OFV and, by subject, its gradient, float64[N, size]."""
        problem, layout = self.problem, self.problem.layout
        scale, K = problem.scale, len(self.curve) - 1
        logs = np.zeros(K)
        logs[self._scaled] = z[self._begin :]
        x = problem.x.copy()
        x[: self._begin] = z[: self._begin]
        point = scale.point(x)
        mean, A = layout.mean(point.theta)
        Bl = layout.B @ point.L
        weight = np.append(np.exp(-logs), 1.0)
        g, S = np.tensordot(weight, self.slope, 1), np.tensordot(weight, self.curve, 1)
        t = mean - self._mean - self._shift
        St = np.einsum("ide,ie->id", S, t)
        SB = S @ Bl
        q = np.einsum("idq,id->iq", Bl, St + 0.5 * g)
        H = np.eye(Bl.shape[2]) + np.einsum("idq,idp->iqp", Bl, SB)
        inverse = np.linalg.inv(H)
        zeta = -np.einsum("iqp,ip->iq", inverse, q)
        value = weight @ self.constant + logs @ self._count + ((g + St) * t).sum(axis=1) + (zeta * q).sum(axis=1)
        value = value + np.linalg.slogdet(H)[1]
        u = t + np.einsum("idq,iq->id", Bl, zeta)
        r = g + 2.0 * np.einsum("ide,ie->id", S, u)
        by_L = np.einsum("idq,idp->iqp", layout.B, r[:, :, None] * zeta[:, None, :] + 2.0 * SB @ inverse)
        by_theta = np.einsum("idm,id->im", A, r)
        by_sigma = np.zeros((problem.n_subjects, *point.sigma.shape))
        head = scale.gradient(point, by_theta, by_L, by_sigma)[:, : self._begin]
        P = Bl @ inverse @ np.swapaxes(Bl, 1, 2)
        by_scale = [
            self._count[k] - weight[k] * (
                self.constant[k] + (self.slope[k] * u).sum(axis=1)
                + np.einsum("id,ide,ie->i", u, self.curve[k], u) + (self.curve[k] * P).sum(axis=(1, 2))
            ) for k in self._scaled
        ]  # fmt: skip
        return float(value.sum() + problem.observations.jacobian.sum()), np.column_stack([head, *by_scale])

    def minimise(self, z: Array) -> tuple[Array, float]:
        """The minimum from z, in a scale where the scores of the subjects have no correlation; OFV there."""
        ofv, scores = self.evaluate(z)
        if not (math.isfinite(ofv) and np.isfinite(scores).all()):
            raise FitError("The linear model cannot be computed at the estimates of the fit.")
        if not z.size:
            return z, ofv
        information = 0.5 * scores.T @ scores
        diagonal = np.diag(information)
        typical = float(np.median(diagonal[diagonal > 0])) if (diagonal > 0).any() else 1.0
        information[np.diag_indices(len(z))] += np.where(diagonal > 1e-12 * typical, _RIDGE * diagonal, typical)
        C = np.linalg.inv(np.linalg.cholesky(information)).T

        def value(y: Array) -> tuple[float, Array]:
            at, by_subject = self.evaluate(z + C @ y)
            gradient = C.T @ by_subject.sum(axis=0)
            good = math.isfinite(at) and np.isfinite(gradient).all()
            return (at, gradient) if good else (math.inf, np.zeros_like(y))

        with np.errstate(all="ignore"):
            end = minimize(value, np.zeros_like(z), jac=True, method="BFGS",
                           options={"gtol": _GRADIENT, "norm": 2, "maxiter": _MOST_ITERATIONS})  # fmt: skip
        return z + C @ end.x, float(end.fun)
