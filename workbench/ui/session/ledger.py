"""The runs as the Runs panel lists them: which, in which order, and under which; knows of no widgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import WorkbenchError
from workbench.language.formula import columns_of
from workbench.markup import decimals, signed
from workbench.methods import method_of
from workbench.results.runs import Run, Runs
from workbench.ui.session.changes import changes_between, parent_of

ORDERS = ("latest", "OFV", "AIC", "BIC", "name", "starred", "tree")
HEAD = ("", "name", "what changed", "covariates", "OFV", "ΔOFV", "AIC", "BIC", "k", "method", "how it ended", "data",
        "structure", "ended at")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Entry:
    """A line of the list.

    Attributes
    ----------
    run : Run
    depth : int
        How many runs it came from, one after the other, where it is listed under them.
    texts : tuple of str
        One for each of `HEAD`.
    """

    run: Run
    depth: int
    texts: tuple[str, ...]


def entries(runs: Runs, order: str = "latest", wanted: str = "", most: int = 50) -> tuple[list[Entry], int]:
    """The lines, and how many runs there are that fit.

    Parameters
    ----------
    runs : Runs
    order : str
        One of `ORDERS`.
    wanted : str
        Words, all of which have to stand in a line, its note included.
    most : int
        Lines at most.
    """
    placed = _tree(runs) if order == "tree" else [(run, 0) for run in _sorted(runs, order)]
    words = wanted.casefold().split()
    found: list[Entry] = []
    count = 0
    for run, depth in placed:
        if not words and len(found) == most:
            count += 1
            continue
        texts = _texts(run, runs)
        said = " ".join((*texts, run.note, str(run.number))).casefold()
        if all(word in said for word in words):
            count += 1
            if len(found) < most:
                found.append(Entry(run, depth, texts))
    return found, count


def _sorted(runs: Runs, order: str) -> list[Run]:
    latest = list(runs)[::-1]
    if order == "name":
        return sorted(latest, key=lambda run: (not run.name, run.name.casefold()))
    if order == "starred":
        return sorted(latest, key=lambda run: not run.starred)
    if order in ("OFV", "AIC", "BIC"):
        # objectives of other data are not comparable: those of the latest run's come first
        newest = latest[0].facts.data_hash if latest else ""
        values = {run.number: float(getattr(run.facts, order.lower())) for run in latest}
        key = {number: value if math.isfinite(value) else math.inf for number, value in values.items()}
        return sorted(latest, key=lambda run: (run.facts.data_hash != newest, key[run.number]))
    return latest


def _tree(runs: Runs) -> list[tuple[Run, int]]:
    """Each run under the one that it came from, the latest first."""
    under: dict[int | None, list[Run]] = {}
    for run in list(runs)[::-1]:
        parent = parent_of(run, runs)
        under.setdefault(parent.number if parent is not None and parent.number < run.number else None, []).append(run)
    placed: list[tuple[Run, int]] = []
    waiting = [(run, 0) for run in under.get(None, [])[::-1]]
    while waiting:
        run, depth = waiting.pop()
        placed.append((run, depth))
        waiting += [(child, depth + 1) for child in under.get(run.number, [])[::-1]]
    return placed


def _texts(run: Run, runs: Runs) -> tuple[str, ...]:
    facts, before = run.facts, parent_of(run, runs)
    alike = before is not None and (before.facts.method, before.facts.options) == (facts.method, facts.options)
    delta = facts.ofv - before.facts.ofv if before is not None and alike else math.nan
    changes = f"{'; '.join(changes_between(before, run))} (from {before.number})" if before is not None else "begun"
    return (
        "★" if run.starred else "",
        run.name,
        changes,
        ", ".join(_columns(run)) or "none",
        decimals(facts.ofv, 2),
        signed(delta, 2) if math.isfinite(delta) else "",
        decimals(facts.aic, 2),
        decimals(facts.bic, 2),
        str(facts.parameters),
        method_of(facts.method).short,
        facts.status.replace("_", " "),
        facts.data_name,
        f"{facts.structure}, {facts.error}",
        facts.made.replace("T", " ")[:16],
    )


def _columns(run: Run) -> Sequence[str]:
    try:
        effects = [effect for p in run.model.parameters for effect in p.covariates]
    except WorkbenchError:  # a model of another notebook's own
        return ["?"]
    return list(dict.fromkeys(name for effect in effects for name in columns_of(effect.term)))
