"""What names in a user's equations may have been meant to be: columns of the data that they make parameters of."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from workbench.data import GroupedData
from workbench.data.names import bare
from workbench.findings import Finding
from workbench.language.tree import names_in
from workbench.model.equation import Equation
from workbench.model.ode import Ode
from workbench.model.structure import Structure

_TIME = frozenset(("time", "times", "zeit", "temps"))
_DOSE = frozenset(("dose", "amt", "amount"))


def meant_otherwise(structure: Structure, data: GroupedData, known: Collection[str] = ()) -> Iterator[Finding]:
    """Findings about parameters that bear the name of a column, and about equations that use nothing of the data.

    Parameters
    ----------
    structure : Structure
        Only equations and differential equations have names that a user made up.
    data : GroupedData
    known : collection of str
        Parameters whose values a column states already.

    Examples
    --------
    >>> import workbench as wb
    >>> trees = wb.load_example("orange_trees")
    >>> [finding.where for finding in meant_otherwise(wb.equation("A/(1 + exp(-(AGE - x)/s))"), trees)]
    ['AGE', 'structure']
    """
    if not isinstance(structure, Equation | Ode):
        return
    used = _used(structure)
    timed = bool({"t", "tad"} & used) or isinstance(structure, Ode)
    roles = data.roles
    for name in structure.names:
        if name in known:
            continue
        if name == roles["time"] or (bare(name) in _TIME and not timed):
            also = "" if timed else "; without it, time plays no part"
            yield Finding(
                "warning" if timed and name != roles["time"] else "error",
                f"{name} names the times of the data, but is a parameter here{also}. Write t for the time.",
                name,
            )
        elif name == roles.get("response"):
            yield Finding("error", f"{name} is the response of the data, but is a parameter here.", name)
        elif name in (roles.get("amount"), roles.get("dose")) or (bare(name) in _DOSE and name != "dose"):
            what = f"{name} names the doses of the data, but is a parameter here. Write dose for the dose."
            yield Finding("warning", what, name)
        elif name in data.covariate_names:
            what = f"{name} is a column of the data, but a parameter here. To use the column: covariates=[{name!r}]."
            yield Finding("warning", what, name)
        elif name in data.content.frame.columns:
            yield Finding("warning", f"{name} is a column of the data, but a parameter here.", name)
    if isinstance(structure, Equation) and not timed and "dose" not in used and not structure.covariates:
        yield Finding(
            "warning",
            "The equation uses nothing of the data: neither t nor the dose nor a column. It predicts a constant.",
            "structure",
        )


def _used(structure: Equation | Ode) -> set[str]:
    """All names in the trees of a structure."""
    if isinstance(structure, Ode):
        return set()
    trees = [*structure.system.definitions.values(), *structure.system.outputs.values()]
    return {name.name for tree in trees for name in names_in(tree)}
