"""Subjects fitted alone, as a result like any other."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.engine.methods.own_values import OwnValues, summary
from workbench.engine.objectives.objective import Evaluation
from workbench.engine.problem.scale import Point
from workbench.results.fit import FitResult
from workbench.results.tables import Estimate

Array = NDArray[np.float64]


class FirstStage:
    """Own values where `fit` expects an `Objective`: nothing is left to search.

    Their mean is the typical value, their covariance takes the place of Ψ.
    """

    def __init__(self, own: OwnValues):
        self.problem, self.own, self.tolerance, self.evaluations = own.problem, own, 0.0, own.rounds
        self.grain = 0.0

    def evaluate(self, x: Array | None = None) -> Evaluation:
        """The sum over the subjects; `zeta` gives their deviations from the mean, 0 for those without values."""
        problem, own, scale = self.problem, self.own, self.problem.scale
        Q, N = problem.n_random, problem.n_subjects
        rows = [own.names.index(name) for name in scale.subject.names]
        values = own.u[own.found][:, rows]
        point = scale.point(problem.x)
        theta, eta = point.theta.copy(), values - values.mean(axis=0)
        labels = [name.label for name in scale.thetas]
        theta[[labels.index(name) for name in scale.subject.names]] = values.mean(axis=0)
        L, root, stated = point.L, np.zeros((Q, Q)), point.L
        if len(values) > 1:
            S = eta.T @ eta / (len(values) - 1)
            squares, vectors = np.linalg.eigh(S)
            root = vectors * np.sqrt(np.maximum(squares, 0.0))
            stated = scale.subject.factor(S, 1e-8 * own.unit[rows])
            L = root
        zeta = np.zeros((N, Q))
        zeta[own.found] = eta @ np.linalg.pinv(root.T)
        x = scale.vector(Point(theta, stated, own.sigma))
        total, none = float(own.by_subject[own.found].sum()), np.zeros((N, scale.size))
        mean, _ = problem.layout.mean(theta)
        return Evaluation(
            x, Point(theta, L, own.sigma), mean, total, none.sum(axis=0), own.by_subject, none, zeta,
            np.full(N, np.inf), None, 0,
        )  # fmt: skip

    def accept(self, evaluation: Evaluation) -> None:
        """Nothing: there is no search."""

    def deepen(self, at: Evaluation) -> Evaluation:
        """The same evaluation."""
        return at

    def following(self) -> FirstStage:
        """The same one."""
        return self

    def modes(self, at: Evaluation) -> Evaluation:
        """The evaluation itself."""
        return at

    def linearisation(self, at: Evaluation) -> tuple[Array, Array]:
        """Not a number: without a population there is no linear model of it."""
        n = len(self.problem.y)
        return np.full(n, np.nan), np.full((n, self.problem.n_random), np.nan)

    def accuracy(self, at: Evaluation) -> str:
        """What the OFV is."""
        return (
            "The OFV is the sum over the subjects, each with estimates of its own: it is not that of a mixed model"
            + (", and is compared with others by AIC only." if not self.own.failures else f". {self.own.partial}")
        )

    def completed(self, result: FitResult) -> FitResult:
        """The result where subjects without values have none, and estimates count once for each subject."""
        own, seen = self.own, self.problem.observations
        lost = ~np.isfinite(own.by_subject)
        gone = np.repeat(lost, np.diff(seen.first))
        omega, lines = result.omega_matrix, result.lines
        if len(own.found) < 2:
            omega = np.full_like(omega, np.nan)
            lines = tuple(
                e._replace(value=np.nan) if e.kind in ("iiv", "correlation") else e for e in lines
            )  # fmt: skip
        free = sum(e.free for e in self.problem.scale.errors)
        return replace(
            result,
            omega_matrix=omega,
            lines=lines,
            eta_matrix=np.where(lost[:, None], np.nan, result.eta_matrix),
            parameter_matrix=np.where(lost[:, None], np.nan, result.parameter_matrix),
            ipred=np.where(gone, np.nan, result.ipred),
            analysed_ipred=np.where(gone, np.nan, result.analysed_ipred),
            isd=np.where(gone, np.nan, result.isd),
            counted=len(own.names) * len(own.found) + free,
        )


def said_of(own: OwnValues, data: GroupedData) -> str:
    """What there is to say of the fits of the subjects."""
    failed, N = len(own.failures), len(own.u)
    lost = f"{failed} of {N} subjects could not be fitted alone: {summary(own.failures, data)}." if failed else ""
    few = "One subject does not show how subjects vary." if len(own.found) < 2 else ""
    return " ".join(filter(None, (lost, own.remark, few)))


def hardly_known(own: OwnValues, data: GroupedData) -> str:
    """A sentence on the subjects that hardly determine values of their own, by parameter."""
    thetas = {name.label: name for name in own.problem.scale.thetas}
    parts = []
    for k, name in enumerate(own.names):
        theta, lines = thetas[name], {}
        for i in own.found.tolist():
            value, slope = theta.natural(float(own.u[i, k]))
            se = abs(slope) * math.sqrt(max(float(own.covariance[i, k, k]), 0.0))
            lines[i] = Estimate(name, value, se, *theta.interval(value, se), False, theta.kind)
        doubtful = {i: line.doubt for i, line in lines.items() if line.doubt}
        if doubtful:
            worst = max(doubtful, key=lambda i: lines[i].rse)
            who = ", ".join(str(data.events.subjects[i]) for i in list(doubtful)[:8]) + ", …" * (len(doubtful) > 8)
            parts.append(f"{name} of {len(doubtful)} ({who}; at worst {doubtful[worst]})")
    if not parts:
        return ""
    return f"Of {len(own.found)} subjects, the data of each alone hardly determine {', '.join(parts)}."
