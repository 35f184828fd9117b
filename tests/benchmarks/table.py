"""The table of speed of the README, measured where it is run: `python -m tests.benchmarks.table`.

Each case is fitted in a process that has fitted before. What is beside it is measured in the same minutes on the same
machine: R's nlme and saemix and PyPI's pynlme, where they are installed; else the table says that they are not.
What was measured elsewhere stands in a table of its own, with version, date and how.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import pandas as pd

import workbench as wb
from workbench.parallel import each

from .test_fit_speed import ORAL, growth, numpy_reference, simulated

SECONDS = 2.0  # of each case, at least


class Took(NamedTuple):
    """How long some work takes, in seconds; NaN where there is none.

    Attributes
    ----------
    best, median : float
        Of its repetitions, by the clock.
    count : int
    processor : float
        The least that this process took of all processors, which other work hardly changes.
    """

    best: float
    median: float
    count: int
    processor: float = float("nan")


class Case(NamedTuple):
    """A line of the table.

    Attributes
    ----------
    name : str
    work : callable
    most : int
        Repetitions.
    beside : dict of str to callable
        Other programs' work, which measures itself; None where it is not installed.
    """

    name: str
    work: Callable[[], object]
    most: int = 200
    beside: dict[str, Callable[[], Took | None]] = {}  # noqa: RUF012


def timed(work: Callable[[], object], most: int, seconds: float = SECONDS) -> Took:
    """Repeat some work, once for nothing."""
    work()
    spent: list[float] = []
    used: list[float] = []
    while not spent or (len(spent) < most and sum(spent) < seconds):
        begun, before = time.perf_counter(), time.process_time()
        work()
        spent.append(time.perf_counter() - begun)
        used.append(time.process_time() - before)
    return Took(min(spent), statistics.median(spent), len(spent), min(used))


# -- beside it ---------------------------------------------------------------------------------------------------------

R_NLME = {
    "theophylline": (
        "nlme(conc ~ SSfol(Dose, Time, lKe, lKa, lCl), data=Theoph, fixed=lKe+lKa+lCl~1, "
        "random=pdDiag(lKe+lKa+lCl~1), start=c(-2.5,0.5,-3.2))"
    ),
    "orange": (
        "nlme(circumference ~ SSlogis(age, Asym, xmid, scal), data=Orange, fixed=Asym+xmid+scal~1, random=Asym~1, "
        "start=c(190,700,350))"
    ),
}
R_SAEMIX = """
d <- saemixData(as.data.frame(Theoph), name.group="Subject", name.predictors=c("Dose","Time"), name.response="conc",
                verbose=FALSE)
f <- function(psi, id, x) { D <- x[,1]; t <- x[,2]; ka <- psi[id,1]; V <- psi[id,2]; k <- psi[id,3]/V
                            D*ka/(V*(ka-k))*(exp(-k*t)-exp(-ka*t)) }
m <- saemixModel(model=f, psi0=matrix(c(1,0.5,0.04), ncol=3, dimnames=list(NULL, c("ka","V","CL"))),
                 transform.par=c(1,1,1), verbose=FALSE)
work <- function() saemix(m, d, list(save=FALSE, save.graphs=FALSE, print=FALSE, displayProgress=FALSE, seed=1))
"""


def by_r(package: str, prelude: str, repetitions: int) -> Took | None:
    """The time of `work()` in R, without its start; None where R has no such package."""
    if shutil.which("Rscript") is None:
        return None
    code = f"suppressMessages(library({package})); {prelude}\ninvisible(work())\n"
    code += f"cat(sapply(1:{repetitions}, function(i) system.time(work())[['elapsed']]))"
    run = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=False)
    if run.returncode:
        return None
    spent = [float(word) for word in run.stdout.split()[-repetitions:]]
    return Took(min(spent), statistics.median(spent), len(spent))


def nlme(name: str) -> Callable[[], Took | None]:
    """R's nlme, twenty times."""
    return lambda: by_r("nlme", f"work <- function() {R_NLME[name]}", 20)


def saemix() -> Took | None:
    """R's saemix with its usual settings, standard errors and likelihood included."""
    return by_r("saemix", R_SAEMIX, 3)


def pynlme(method: str) -> Callable[[], Took | None]:
    """PyPI's pynlme on theophylline, from the same values."""

    def measured() -> Took | None:
        if find_spec("pynlme") is None:
            return None
        import warnings

        from pynlme import fit_nlme

        frame = wb.load_example("theophylline").frame
        seen = frame[frame["EVID"] == 0]
        amount = pd.to_numeric(frame["AMT"], errors="coerce").groupby(frame["ID"]).max()
        given = np.column_stack([seen["ID"].map(amount).to_numpy(float), seen["TIME"].to_numpy(float)])

        def curve(phi: np.ndarray, x: np.ndarray) -> np.ndarray:
            k, ka, CL = phi[0], phi[1], phi[2]
            return x[:, 0] * k * ka / (CL * (ka - k)) * (np.exp(-k * x[:, 1]) - np.exp(-ka * x[:, 1]))

        def work() -> object:
            return fit_nlme(
                given, seen["DV"].to_numpy(float), seen["ID"].to_numpy(), None, curve, np.exp([-2.5, 0.5, -3.2]),
                param_transform=[1, 1, 1], method=method,
            )  # fmt: skip

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return timed(work, 20, 5.0)
            except ArithmeticError:  # its model function met what is no number
                return Took(np.nan, np.nan, 0)

    return measured


# -- ours --------------------------------------------------------------------------------------------------------------


def cases(jobs: int) -> list[Case]:
    """What is measured."""
    theophylline, phenobarbital = wb.load_example("theophylline"), wb.load_example("phenobarbital")
    trees, logistic = wb.load_example("orange_trees"), growth()
    model = wb.Model(ORAL, error=wb.Constant())
    stated = wb.initial_values(model, theophylline)
    saturable = wb.Model(wb.pk(absorption="first-order", elimination="michaelis-menten"), error=wb.Constant())
    saturable = wb.initial_values(saturable, theophylline)
    fitted = wb.fit(model, theophylline)
    small, large = simulated(120), simulated(10_000)
    return [
        Case("theophylline, FOCEI, from stated values, without SE",
             lambda: wb.fit(stated, theophylline, covariance=False), 200, {"R nlme": nlme("theophylline"),
                                                                           "pynlme, Lindstrom-Bates": pynlme("MLE")}),
        Case("theophylline, FOCEI, from nothing, with SE", lambda: wb.fit(model, theophylline)),
        Case("theophylline, combined2 error, FOCEI, from nothing, with SE",
             lambda: wb.fit(wb.Model(ORAL, error=wb.Combined2()), theophylline)),
        Case("phenobarbital, FOCEI, from nothing, with SE",
             lambda: wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), phenobarbital)),
        Case("orange trees, FOCEI, from stated values, with SE", lambda: wb.fit(logistic, trees), 200,
             {"R nlme": nlme("orange")}),
        Case("theophylline, Michaelis-Menten (ODE), from stated values, without SE",
             lambda: wb.fit(saturable, theophylline, covariance=False), 20),
        Case("theophylline, SAEM, from nothing, with OFV and SE", lambda: wb.fit(model, theophylline, "saem"), 5,
             {"saemix": saemix, "pynlme, SAEM": pynlme("SAEM")}),
        Case("theophylline, importance sampling, with SE", lambda: wb.fit(stated, theophylline, "importance"), 5),
        Case("theophylline, quadrature, with SE", lambda: wb.fit(stated, theophylline, "quadrature"), 5),
        Case("theophylline, bootstrap of 1,000, one job", lambda: wb.bootstrap(fitted, 1000, jobs=1), 1),
        Case(f"theophylline, bootstrap of 1,000, {jobs} jobs", lambda: wb.bootstrap(fitted, 1000, jobs=jobs), 2),
        Case("10,000 subjects × 10, two-stage, from stated values", lambda: wb.fit(*large, "two-stage"), 2),
        Case("120 subjects × 10, FOCEI, from stated values, with SE", lambda: wb.fit(*small), 20),
        Case("10,000 subjects × 10, FOCEI, from stated values, with SE", lambda: wb.fit(*large), 3),
    ]  # fmt: skip


ELSEWHERE = (  # what, program, whole call, its optimiser alone, when and how
    ("theophylline, FOCEI", "nlmixr2 5.0.2", "5.3 s", "0.39 s", "2026, two cores; the whole call"),
    ("theophylline, combined2, FOCEI", "nlmixr2 5.0.2", "12.3 s", "0.91 s", "2026, two cores; the whole call"),
    ("phenobarbital, FOCEI", "nlmixr2 5.0.2", "6.8 s", "1.55 s", "2026, two cores; the whole call"),
    ("theophylline, SAEM", "saemix 3.4", "2.0–2.2 s", "", "November 2026, two cores; OFV and SE included"),
    ("theophylline, LME", "R nlme 3.1", "51–56 ms", "", "November 2026, two cores; `system.time`, R running"),
)  # fmt: skip


def shown(seconds: float) -> str:
    """A time as people write it."""
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def lines(found: Sequence[tuple[Case, Took, dict[str, Took | None]]]) -> list[str]:
    """The table in Markdown."""
    text = [
        "| | workbench: best | median | processor | beside it, in the same minutes: best (median) |",
        "|---|---:|---:|---:|---|",
    ]
    for case, took, beside in found:
        others = [
            f"{name} {shown(their.best)} ({shown(their.median)})" if their else f"{name} is not installed here"
            for name, their in beside.items()
        ]
        mine = " | ".join(map(shown, (took.best, took.median, took.processor)))
        text.append(f"| {case.name} | {mine} | {'; '.join(others)} |")
    return text


def main(given: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of the names of cases; all without one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--without-others", action="store_true", help="do not run other programs")
    asked = parser.parse_args(given)
    scale = timed(numpy_reference, 50)
    found = []
    for case in cases(asked.jobs):
        if asked.only and not any(part.lower() in case.name.lower() for part in asked.only):
            continue
        if "jobs" in case.name:  # with processes that are there already
            each(_Nothing(), range(400), asked.jobs)
        took = timed(case.work, case.most)
        beside = {} if asked.without_others else {name: measure() for name, measure in case.beside.items()}
        found.append((case, took, beside))
        print(f"{case.name}: {shown(took.best)}", file=sys.stderr, flush=True)
    print(
        f"workbench {wb.__version__}, Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}."
        f" numpy takes {shown(scale.processor)} for 3,000 predictions of 132 points here.\n"
    )
    print("\n".join(lines(found)))
    print("\nMeasured elsewhere, not beside it:\n\n| | program | whole call | optimiser | when and how |\n"
          "|---|---|---:|---:|---|")  # fmt: skip
    for row in ELSEWHERE:
        print("| " + " | ".join(row) + " |")


class _Nothing:
    """Work that only brings processes to life."""

    def __call__(self) -> Callable[[int], int]:
        def wait(number: int) -> int:
            time.sleep(0.01)
            return number

        return wait


if __name__ == "__main__":
    main()
