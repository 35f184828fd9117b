"""The public names: all there, typed, documented, with examples that run, and nothing beside them."""

import doctest
import functools
import inspect
import re
import subprocess
import sys

import pandas as pd
import pytest

import workbench as wb
from workbench.markup import Shown

ROOMS = {name: getattr(wb, name) for name, home in wb._PUBLIC.items() if home == "workbench"}  # such as wb.exercises
NAMES = [name for name in wb.__all__ if name != "__version__" and name not in ROOMS]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(wb, name))]
CLASSES = [name for name in NAMES if inspect.isclass(getattr(wb, name))]
MAIN = ("Block", "Combined2", "FitResult", "GroupedData", "Model", "Parameter", "Runs", "Saem", "Workbench")
# What a GroupedData, a Workbench, a structure and results are made of.
INSIDE = {
    "Acting", "Chance", "Content", "Curve", "Differential", "Dose", "Explicit", "Facts", "Figure", "Group", "Kinetics",
    "Panel", "Row", "Sample", "State", "System",
}  # fmt: skip


@functools.cache
def own_classes():
    """All classes of the package by name."""
    for name in NAMES:
        getattr(wb, name)
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("workbench.")]
    return {c.__name__ for m in modules for c in vars(m).values() if inspect.isclass(c) and c.__module__ == m.__name__}


def test_nothing_else_is_shown():
    assert len(NAMES) == len(set(NAMES)) > 60
    code = "import workbench as wb; wb.data if hasattr(wb, 'data') else 0; wb.Model; print(*dir(wb))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if not re.fullmatch("__.*__", name)} == {*NAMES, *ROOMS}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        wb.nothing  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_a_docstring(name):
    value = getattr(wb, name)
    said = inspect.getdoc(value)
    assert said and value.__doc__ and not said.startswith(f"{name}("), name
    assert inspect.isfunction(value) or inspect.isclass(value)


def returned(value):
    """The annotations of what a function, or a method or attribute of a class, gives."""
    if inspect.isfunction(value):
        return [str(inspect.signature(value).return_annotation)]
    found = [str(hint) for name, hint in inspect.get_annotations(value).items() if not name.startswith("_")]
    for name, member in vars(value).items():
        member = member.fget if isinstance(member, property) else getattr(member, "func", member)  # noqa: PLW2901
        if not name.startswith("_") and inspect.isfunction(member):
            found.append(str(inspect.signature(member).return_annotation))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_is_returned_is_public(name):
    words = {word for hint in returned(getattr(wb, name)) for word in re.findall(r"[A-Z]\w+", hint)}
    assert not (words & own_classes()) - set(NAMES) - INSIDE


@pytest.mark.parametrize("name", [*FUNCTIONS, *MAIN])
def test_each_function_has_an_example_that_runs(name, monkeypatch, tmp_path):
    value = getattr(wb, name)
    assert "Examples\n--------\n>>> " in (inspect.getdoc(value) or ""), f"{name} has no example"
    monkeypatch.chdir(tmp_path)
    [example] = doctest.DocTestFinder(recurse=False).find(value, name, globs={"wb": wb, "pd": pd})
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=flags).run(example, out=said.append)
    assert not result.failed, "".join(said)


def test_what_is_shown_prints_its_tables():
    """A dataclass writes a `__repr__` of its own unless it is told not to."""
    assert own_classes() and Shown.__subclasses__()
    for kind in Shown.__subclasses__():
        assert kind.__repr__ is Shown.__repr__, f"{kind.__name__} needs @dataclass(repr=False)"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_its_own_is_as_public(room):
    """Each name of it is documented, and each function has an example that runs."""
    assert inspect.ismodule(ROOMS[room]) and inspect.getdoc(ROOMS[room])
    for name in ROOMS[room].__all__:
        value = getattr(ROOMS[room], name)
        said = inspect.getdoc(value)
        assert said and not said.startswith(f"{name}("), name
        if inspect.isfunction(value):
            [example] = doctest.DocTestFinder(recurse=False).find(value, name, globs={})
            result = doctest.DocTestRunner().run(example)
            assert result.attempted and not result.failed, name
