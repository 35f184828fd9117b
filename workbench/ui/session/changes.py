"""What one run has other than another, in a few words; knows of no widgets."""

from __future__ import annotations

from workbench.errors import WorkbenchError
from workbench.methods import method_of
from workbench.model import Model
from workbench.results.runs import Run, Runs
from workbench.ui.session.shapes import read_effects

_RECENT = 20  # runs among which the parent is looked for


def parent_of(run: Run, runs: Runs) -> Run | None:
    """The run that a run came from: the one that was shown when it was begun, where that is known.

    Else, of those before it on the same data, the one that differs least.
    """
    known = runs.get(run.parent)
    if known is not None:
        return known
    if run.parent is not None:
        return None  # it was deleted
    earlier = [one for one in runs if one.number < run.number and one.facts.data_hash == run.facts.data_hash]
    found: Run | None = min(
        reversed(earlier[-_RECENT:]), key=lambda other: len(changes_between(other, run)), default=None
    )
    return found


def changes_between(before: Run, after: Run) -> list[str]:
    """What was changed: structure, parameters, covariates, random effects, error, method, data."""
    try:
        words = model_changes(before.model, after.model)
    except WorkbenchError:  # a model of another notebook's own
        words = [] if before.facts.model == after.facts.model else ["another model"]
    if before.facts.data_hash != after.facts.data_hash:
        words.append(f"data {before.facts.data_name} → {after.facts.data_name}")
    if (before.facts.method, before.facts.options) != (after.facts.method, after.facts.options):
        old, new = (method_of(run.facts.method).short for run in (before, after))
        words.append(f"{old} → {new}" if old != new else f"other options of {new}")
    elif before.settings != after.settings:
        words.append("other settings")
    return words or (["other initial values"] if before.facts.model != after.facts.model else ["the same again"])


def model_changes(before: Model, after: Model) -> list[str]:
    """What differs between two models, values apart."""
    words = []
    if before.structure != after.structure:
        words.append(f"{before.structure.title} → {after.structure.title}")
    mine, theirs = ({p.name: p for p in model.parameters} for model in (before, after))
    for name in [name for name in mine if name in theirs]:
        words += _parameter_changes(mine[name], theirs[name])
    if before.correlate != after.correlate:
        old, new = ({tuple(block.names) for block in model.correlate} for model in (before, after))
        words += [f"+ correlation of {'–'.join(names)}" for names in sorted(new - old)]
        words += [f"− correlation of {'–'.join(names)}" for names in sorted(old - new)]
    for old_error, new_error in zip(before.errors, after.errors, strict=False):
        if type(old_error) is not type(new_error):
            words.append(f"{old_error.title} → {new_error.title}")
        elif set(old_error.fixed) != set(new_error.fixed):
            words.append(f"error: fixed {', '.join(new_error.fixed) or 'none'}")
    if before.blq != after.blq:
        words.append(f"censored: {before.blq or 'none'} → {after.blq or 'none'}")
    return words


def _parameter_changes(before, after) -> list[str]:  # type: ignore[no-untyped-def]
    name, words = after.name, []
    old, new = read_effects(before)[0], read_effects(after)[0]
    words += [f"+ {column} on {name}" for column in new if column not in old]
    words += [f"− {column} on {name}" for column in old if column not in new]
    words += [
        f"{column} on {name}: {old[column].shape} → {new[column].shape}"
        for column in new if column in old and old[column].shape != new[column].shape
    ]  # fmt: skip
    if [e.term for e in read_effects(before)[1]] != [e.term for e in read_effects(after)[1]]:
        words.append(f"other terms of {name}")
    for part, effect in (("iiv", "η"), ("iov", "κ")):
        had, has = getattr(before, part) is not None, getattr(after, part) is not None
        if had != has:
            words.append(f"{'+' if has else '−'} {effect} of {name}")
    if before.transform != after.transform:
        words.append(f"{name}: {before.link.name} → {after.link.name}")
    fixed, free = (set(p.fixed_parts) for p in (after, before))
    words += [f"{name} fixed" for part in fixed - free if part == "value"]
    words += [f"{name} estimated" for part in free - fixed if part == "value"]
    return words
