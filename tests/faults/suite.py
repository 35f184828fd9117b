"""How often the cause of a fault is named, and what the first remedy brings."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

import workbench as wb
from tests.faults.kinds import KINDS, Kind, Study
from tests.reference.results import table
from workbench.results.runs import Run
from workbench.ui.session import why

FAULTY, SOUND = 20, 10  # studies of each kind
STARTS = 20
_FEWER = 5  # starts, to tell whether a fault shows
NEAR = 0.01  # of the OFV
TWIN = 3.84  # of the OFV: two solutions that the data cannot tell apart
SHOWN = 3  # causes on a card
NAMED, FALSE, FIRST = 95.0, 5.0, 80.0  # per cent wanted
_MOST_DRAWN = 100


@dataclass(frozen=True)
class Seen:
    """What was made of a study.

    Attributes
    ----------
    causes : tuple of Cause
        On the card; none where there is no card.
    named : bool
        Whether one of them is the fault.
    above : float
        OFV of the first remedy above the best of many starts of what it states; NaN without a card.
    kept : bool
        Whether the first remedy ended as was promised when it was tried; nothing was promised without a card.
    drawn : int
        Data sets that were drawn until the fault showed.
    """

    causes: tuple[why.Cause, ...]
    named: bool
    above: float
    kept: bool
    drawn: int


def drawn(name: str, number: int, *, faulty: bool) -> tuple[Study, int]:
    """A study, and how many were drawn until it was one with the fault in sight, or without any.

    What is sound is so by the best of many starts: the stated values lead there, and there is no other solution that
    explains the data about as well.
    """
    kind = KINDS[name]
    rng = np.random.default_rng([zlib.crc32(name.encode()), number, int(faulty)])
    for count in range(1, _MOST_DRAWN + 1):
        study = (kind.faulty if faulty else kind.sound)(rng)
        if faulty and kind.shows is None:
            return study, count
        try:
            best = _best(*study, starts=_FEWER)
        except wb.FitError:  # refused in words before it begins: there is no fit to diagnose
            continue
        if kind.shows(study, best) if faulty and kind.shows else _leads_to(best, study) and not _has_twin(best, study):
            return study, count
    raise AssertionError(f"{name}: the fault did not show in {_MOST_DRAWN} data sets")


def _best(model: wb.Model, data: wb.GroupedData, starts: int = STARTS) -> wb.FitResult:
    return wb.fit(model, data, starts=starts, covariance=False, jobs=1)


def _leads_to(best: wb.FitResult, study: Study) -> bool:
    return wb.fit(*study, covariance=False).ofv < best.ofv + NEAR


def _has_twin(best: wb.FitResult, study: Study) -> bool:
    """Whether the data are explained about as well with the rates of absorption and elimination exchanged."""
    at = {parameter.name: parameter.value for parameter in best.model.parameters}
    if not {"ka", "CL", "V"} <= at.keys():
        return False
    twin = best.model.with_values({"ka": at["CL"] / at["V"], "V": at["CL"] / at["ka"]})
    found = wb.fit(twin, study[1], covariance=False)
    return abs(found.ofv - best.ofv) < TWIN and abs(found.estimate("ka").value / at["ka"] - 1) > 0.1


def run_of(study: Study) -> Run:
    """The run of a study's fit, as the room has it."""
    return tuple(wb.Runs().add(wb.fit(*study)))[-1]


def seen(kind: Kind, study: Study, count: int = 1) -> Seen:
    """Fit a study, try the remedies, and look at the card."""
    run = run_of(study)
    outcomes = why.tried(run, lambda _: False)
    card = why.causes(run, outcomes)[:SHOWN]
    named = any(c.kind in kind.causes and any(n in f"{c.title} {c.about}" for n in kind.names) for c in card)
    remedies = why.ranked(card, outcomes)
    if not remedies:
        return Seen(card, named, float("nan"), True, count)
    first = remedies[0]
    settings = dict(first.settings)
    ofv = wb.fit(first.model, first.data, **settings).ofv  # type: ignore[arg-type]
    kept = first.code in outcomes and abs(outcomes[first.code].ofv - ofv) < 1e-6
    return Seen(card, named, ofv - _best(first.model, first.data).ofv, kept, count)


def run(share: float, first: int = 0, kinds: tuple[str, ...] = tuple(KINDS)) -> tuple[str, bool]:
    """The table, and whether all held; `first` is the number of the first study of each kind, a seed."""
    faulty, sound = max(2, round(FAULTY * share)), max(1, round(SOUND * share))
    rows = []
    total: Counter[str] = Counter()
    for name in kinds:
        kind = KINDS[name]
        found = [seen(kind, *drawn(name, first + number, faulty=True)) for number in range(faulty)]
        calm = [seen(kind, *drawn(name, first + number, faulty=False)) for number in range(sound)]
        here = Counter(
            named=sum(s.named for s in found), near=sum(s.above < NEAR for s in found), kept=sum(s.kept for s in found),
            false=sum(bool(s.causes) for s in calm),
        )  # fmt: skip
        total += here
        leading = Counter(s.causes[0].kind if s.causes else "none" for s in found)
        rows.append(
            [kind.what, f"{here['named']} of {faulty}", f"{here['near']} of {faulty}", f"{here['kept']} of {faulty}",
             ", ".join(f"{k} {n}" for k, n in leading.most_common()), f"{here['false']} of {sound}",
             f"{sum(s.drawn for s in found)}"]
        )  # fmt: skip
        print(" | ".join(rows[-1]), [[(c.kind, c.title) for c in s.causes] for s in found if not s.named],
              [[(c.kind, c.title) for c in s.causes] for s in calm if s.causes], flush=True)  # fmt: skip
    many, few = faulty * len(kinds), sound * len(kinds)
    shares = {"named": 100 * total["named"] / many, "near": 100 * total["near"] / many,
              "kept": 100 * total["kept"] / many, "false": 100 * total["false"] / few}  # fmt: skip
    about = (
        f"{faulty} studies of each kind with the fault, {sound} without. The cause is named on the card in "
        f"{shares['named']:.1f} % (wanted: {NAMED:.0f}); the first remedy ends within {NEAR} of the best of {STARTS} "
        f"starts of what it states in {shares['near']:.1f} % (wanted: {FIRST:.0f}), and where it was said to end in "
        f"{shares['kept']:.1f} %; a card is shown for {shares['false']:.1f} % of the sound studies (wanted: at most "
        f"{FALSE:.0f}). Last column: data sets that were drawn until the fault could be seen by a comparison of fits "
        "of which the diagnosis knows nothing."
    )
    head = [
        "fault",
        "named",
        "first remedy at the best",
        "ends as promised",
        "first cause",
        "cards on sound fits",
        "drawn",
    ]
    well = shares["named"] >= NAMED and shares["near"] >= FIRST and shares["false"] <= FALSE and shares["kept"] == 100
    return f"{about}\n\n{table(head, rows)}", well
