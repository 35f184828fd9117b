"""Custom structures as machine code: derivatives by sympy, printed as Python, compiled (see `machine`), kept on disk.

A structure becomes one or more *programs*: functions of jets z and constants c that make jets (see `chain`). Only these
are compiled anew for a new structure; everything else is shared. The module that holds them is written to
`cache_folder()`, named by a hash of the structure, and imported from there ever after, by this process and others;
sympy is then not needed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from workbench.engine.caches import cache_folder
from workbench.engine.predictions.chain import Program
from workbench.engine.predictions.compiling import compiling
from workbench.engine.predictions.machine import INT, NUMBERS, address_of
from workbench.errors import ModelError
from workbench.model.kinetics import Differential, Explicit, System

_HEADER = '''"""Written by workbench: {title}, with derivatives. See workbench/engine/predictions/compiled.py."""
import math
'''
_FUNCTION = """

def {name}(z, stride, c, v, out, D, order):
{body}


{name}_shape = {shape}
{name}_limits = {limits}
"""
_END = "\ncomplete = True\n"
_lock = threading.Lock()


def programs(equations: System) -> ModuleType:
    """The module of some equations, compiled or from disk.

    Returns
    -------
    module
        Has the programs of `explicit_source` or `differential_source`; `program` makes them callable from kernels.
    """
    return loaded(
        equations.text,
        f"{equations.text:.200}",
        lambda: explicit_source(equations) if isinstance(equations, Explicit) else differential_source(equations),
    )


def loaded(identity: str, title: str, source: Callable[[], str]) -> ModuleType:
    """The module that a source makes, compiled or from disk; it is kept as long as the process lives.

    Parameters
    ----------
    identity : str
        What the source follows from.
    title : str
        What it is, for messages.
    source : callable
        Writes the module, where it is not there yet.
    """
    with _lock, compiling():
        return _load(identity, title, source)


def program(module: ModuleType, name: str, brink: float = 0.0) -> Program:
    """A program of a module, as kernels take it. The module must be kept as long as it is used; `brink` see there."""
    outputs, first, second, others = getattr(module, f"{name}_shape")
    place = [number for row in (*first, *second, others) for number in row]
    inputs, limits = getattr(module, f"{name}_limits")
    kinds = NUMBERS, INT, NUMBERS, NUMBERS, NUMBERS, INT, INT
    return Program(
        address_of(getattr(module, name), (), *kinds), outputs, len(first), len(second),
        np.array(place, dtype=np.int64), inputs, np.array(limits, dtype=np.int64), brink,
    )  # fmt: skip


# Changes whenever the code that writes modules does. Read along with that code: an update under a running process must
# not have it keep what the old code writes under the name that the new code looks for.
_GENERATOR = hashlib.sha256(
    b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("compiled", "scalar", "symbolic"))
).digest()


def _load(identity: str, title: str, source: Callable[[], str]) -> ModuleType:
    key = hashlib.sha256(_GENERATOR + identity.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    name = f"workbench_structure_{key}"
    if name in sys.modules:
        return sys.modules[name]
    path = cache_folder() / f"{name}.py"
    if path.exists():
        try:
            return _imported(name, path)
        except Exception:  # cut short or damaged, in whatever way
            path.unlink(missing_ok=True)
    try:
        text = source()
    except RecursionError:
        raise ModelError(f"{title}: expressions are put into each other too deeply.") from None
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + _END)
    if path.exists():  # another process was faster
        os.unlink(draft)
    else:
        os.replace(draft, path)
    return _imported(name, path)


def _imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        assert module.complete
    except BaseException:
        del sys.modules[name]
        raise
    return module


# -- the source ----------------------------------------------------------------------------------------------------


def explicit_source(equations: Explicit) -> str:
    """Source with one program, `response`: by z = parameters; c = t, dose, tad, covariates."""
    from workbench.engine.predictions import symbolic

    known = _symbols([*equations.names, "t", "dose", "tad", *equations.columns])
    inputs = [known[name] for name in equations.names]
    constants = [known[name] for name in ("t", "dose", "tad", *equations.columns)]
    for name, tree in equations.definitions.items():
        known[name] = symbolic.build(tree, known)
    values = [symbolic.build(tree, known) for tree in equations.outputs.values()]
    return _HEADER.format(title="an equation") + _program("response", values, inputs, constants)


def differential_source(equations: Differential) -> str:
    """Source of three programs, and where in the derived quantities q the initial values and the dosing stand.

    `derived`: q by z = parameters; c = covariates. All that the others need and that is constant on a design row.
    `rates`: derivatives of the states in time, by z = states, t, dose, tad, q.
    `response`: by z = states, t, dose, tad, q.
    """
    from workbench.engine.predictions import symbolic

    known = _symbols([*equations.states, "t", "dose", "tad", *equations.names, *equations.columns])
    states = [known[name] for name in equations.states]
    times = [known[name] for name in ("t", "dose", "tad")]
    changing = [*states, *times]
    parameters = [known[name] for name in equations.names]
    covariates = [known[name] for name in equations.columns]
    for name, tree in equations.definitions.items():
        known[name] = symbolic.build(tree, known)
    hoist = symbolic.Hoist(changing)
    rates = [hoist(symbolic.build(equations.rates[name], known)) for name in equations.states]
    responses = [hoist(symbolic.build(tree, known)) for tree in equations.outputs.values()]
    tables = {
        what: {state: hoist.symbol(symbolic.build(tree, known)) for state, tree in table.items()}
        for what, table in (
            ("initial", equations.initial), ("lag", equations.lag), ("bioavailability", equations.bioavailability),
            ("duration", equations.duration),
        )
    }  # fmt: skip
    derived, symbols = list(hoist.parts), list(hoist.parts.values())
    place = {symbol: number for number, symbol in enumerate(symbols)}
    inputs = [*changing, *symbols]
    lines = [
        f"{what} = {[place[table[state]] if state in table else -1 for state in equations.states]}"
        for what, table in tables.items()
    ]
    used: set[Any] = set().union(*(part.free_symbols for part in rates))
    seen = used.union(*(part.free_symbols for part in responses))
    timed = bool(used & set(times)) + 2 * bool(seen & set(times[1:]))
    lines += [f"quantities = {len(symbols)}", f"timed = {timed}"]
    return (
        _HEADER.format(title="differential equations")
        + _program("derived", derived, parameters, covariates)
        + _program("rates", rates, inputs, [], states)
        + _program("response", responses, inputs, [], states)
        + "\n"
        + "\n".join(lines)
        + "\n"
    )


def _symbols(names: Sequence[str]) -> dict[str, Any]:
    """Numbered symbols: no name of the user's can mean anything to sympy."""
    import sympy

    return {name: sympy.Symbol(f"x{number}") for number, name in enumerate(names)}


def _program(
    name: str, values: Sequence[Any], inputs: Sequence[Any], constants: Sequence[Any], states: Sequence[Any] = ()
) -> str:
    """Source of a function as `Program` describes it, and its places."""
    from workbench.engine.predictions import symbolic

    derivatives = symbolic.Derivatives(values, inputs)
    variables = {symbol: f"z{j}" for j, symbol in enumerate(inputs)}
    variables |= {symbol: f"c{j}" for j, symbol in enumerate(constants)}
    used: set[Any] = set().union(*(value.free_symbols for value in values))
    lines = [f"z{j} = z[{j} * stride]" for j, symbol in enumerate(inputs) if symbol in used]
    lines += [f"c{j} = c[{j}]" for j, symbol in enumerate(constants) if symbol in used]
    slopes = [(i, j) for i, j, _ in derivatives.first]
    groups = [(i, a, len(group)) for i, a, group in derivatives.second]
    others = [b for _, _, group in derivatives.second for b, _ in group]

    code = symbolic.Code(variables, states)
    parts = (
        derivatives.values,
        [slope for _, _, slope in derivatives.first],
        [curvature for _, _, group in derivatives.second for _, curvature in group],
    )
    found: list[list[str]] = []
    for order, part in enumerate(parts):
        start, number = len(code.lines), sum(map(len, found))
        found.append([code.write(expression) for expression in part])
        code.lines += [f"v[{number + k}] = {variable}" for k, variable in enumerate(found[-1])]
        if order:
            code.lines[start:] = [f"if order >= {order}:", *(f"    {line}" for line in code.lines[start:]), "    pass"]
    lines += code.lines
    lines += _chain_rule(len(values), slopes, groups, others)
    body = "\n".join(f"    {line}" for line in lines)
    bases = symbolic.bases(values)
    limits = [int(symbol in bases) for symbol in (*inputs, *constants)] if bases & {*inputs, *constants} else []
    return _FUNCTION.format(
        name=name, body=body, shape=(len(values), slopes, groups, others), limits=(len(inputs), limits)
    )


def _chain_rule(
    outputs: int, slopes: list[tuple[int, int]], groups: list[tuple[int, int, int]], others: list[int]
) -> list[str]:
    """Lines that make jets of what is in v; all outputs in one loop each for first and for second derivatives."""
    first, second = outputs, outputs + len(slopes)
    room = second + len(others)
    lines = [
        "if order < 1 or D < 1:",
        "    return 1",
        f"total = {second} if order < 2 else {room}",
        "check = 0.0",
        "for k in range(total):",
        "    check += v[k] * 0.0",
        "if check != 0.0:",  # something is infinite or not a number
        "    return 0",
    ]
    lines += [f"a{e} = v[{first + e}]" for e in range(len(slopes))]
    lines += ["past = 1 + D", "total = past if order < 2 else past + D * (D + 1) // 2", "for k in range(1, total):"]
    for i in range(outputs):
        terms = [f"a{e} * z[{j} * stride + k]" for e, (to, j) in enumerate(slopes) if to == i]
        lines.append(f"    out[{i} * stride + k] = {' + '.join(terms) or '0.0'}")
    if not groups:
        return [*lines, "return 1"]
    lines += ["if order < 2:", "    return 1"]
    lines += [f"b{e} = v[{second + e}]" for e in range(len(others))]
    lines += ["for d in range(D):"]
    entry = 0
    for g, (_, a, count) in enumerate(groups):
        terms = []
        for e in range(entry, entry + count):
            half = "0.5 * " if others[e] == a else ""
            terms.append(f"{half}b{e} * z[{others[e]} * stride + 1 + d]")
        entry += count
        lines.append(f"    v[{room} + {g} * D + d] = {' + '.join(terms)}")
    lines += ["k = past", "for d in range(D):"]
    involved = sorted({a for _, a, _ in groups})
    lines += [f"    x{a} = z[{a} * stride + 1 + d]" for a in involved]
    lines += [f"    y{g} = v[{room} + {g} * D + d]" for g in range(len(groups))]
    lines += ["    for e in range(d + 1):"]
    for i in range(outputs):
        terms = [
            f"x{a} * v[{room} + {g} * D + e] + y{g} * z[{a} * stride + 1 + e]"
            for g, (to, a, _) in enumerate(groups)
            if to == i
        ]
        if terms:
            lines.append(f"        out[{i} * stride + k] += {' + '.join(terms)}")
    return [*lines, "        k += 1", "return 1"]
