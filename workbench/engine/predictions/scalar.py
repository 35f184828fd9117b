"""Functions of one number that a user states as text, as machine code that kernels call through its address.

Such a *scalar program* computes g(x; c) with g' and g'' by x, and the derivatives of the three by each of the constants
c. It is compiled once for a text and kept on disk (see `compiled`); kernels that call it are compiled once for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from workbench.engine.predictions.compiled import loaded
from workbench.engine.predictions.jets import IDENTITY, LOG, LOGIT, PROBIT
from workbench.engine.predictions.machine import FLOAT, INT, NUMBERS, address_of
from workbench.language.tree import Expression
from workbench.model.transform import Transform

_TRANSFORMS = {"log": LOG, "identity": IDENTITY, "logit": LOGIT, "probit": PROBIT}

_SOURCE = '''"""Written by workbench: {title}, with derivatives. See workbench/engine/predictions/scalar.py."""
import math


def g(x, c, out, stride):
{constants}    if stride == 0:
{values}    else:
{slopes}'''


def scalar_program(title: str, tree: Expression, variable: str, constants: Sequence[str]) -> int:
    """The address of g(x; c), where the code stays as long as the process lives.

    Parameters
    ----------
    title : str
        What it is, for those who open its file.
    tree : Expression
    variable : str
        The name of x.
    constants : sequence of str
        The names of c, in the order in which kernels have them.

    Raises
    ------
    ModelError
        If a part of it has no value.
    """
    identity = f"scalar {tree!r} {variable} {tuple(constants)!r}"
    module = loaded(identity, title, lambda: _source(title, tree, variable, constants))
    return address_of(module.g, (), FLOAT, NUMBERS, NUMBERS, INT)


def _source(title: str, tree: Expression, variable: str, constants: Sequence[str]) -> str:
    import sympy

    from workbench.engine.predictions.symbolic import build

    x, *c = (sympy.Symbol(f"x{k}") for k in range(1 + len(constants)))
    value = build(tree, dict(zip((variable, *constants), (x, *c), strict=True)))
    jet = [value, value.diff(x), value.diff(x, 2)]
    variables = {x: "x"} | {symbol: f"c{k}" for k, symbol in enumerate(c)}
    return _SOURCE.format(
        title=title,
        constants="".join(f"    c{k} = c[{k}]\n" for k in range(len(c))),
        values=_assigned(variables, ((str(i), part) for i, part in enumerate(jet))),
        slopes=_assigned(
            variables,
            ((f"{k} * stride + {i}", part.diff(by)) for k, by in enumerate(c) for i, part in enumerate(jet)),
        ),
    )


def _assigned(variables: dict[Any, str], parts: Iterable[tuple[str, Any]]) -> str:
    """Lines that put expressions into places of out."""
    from workbench.engine.predictions.symbolic import Code

    code = Code(variables)
    places = [(place, code.write(part)) for place, part in parts]
    lines = [*code.lines, *(f"out[{place}] = {variable}" for place, variable in places), "return"]
    return "".join(f"        {line}\n" for line in lines)


def transform_code(transform: Transform) -> int:
    """How kernels know a transform: by a number of its own, or by the address of its scalar program."""
    known = _TRANSFORMS.get(transform.name)
    if known is not None:
        return known
    return scalar_program(f"the transform {transform.name}", transform.expression, "z", ("lower", "upper"))
