"""Functions of one number that a user states as text, as machine code that kernels call through its address.

Such a *scalar program* computes g(x; c) with g' and g'' by x, and the derivatives of the three by each of the constants
c. It is compiled once for a text and kept on disk (see `compiled`); kernels that call it are compiled once for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from workbench.engine.predictions.compiled import loaded
from workbench.engine.predictions.jets import inner
from workbench.language.tree import Expression

_SOURCE = '''"""Written by workbench: {title}, with derivatives. See workbench/engine/predictions/scalar.py."""
import math

from numba import cfunc, types

NUMBERS = types.CPointer(types.float64)


@cfunc(types.void(types.float64, NUMBERS, NUMBERS, types.int64), cache=True, error_model="numpy")
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
    return int(loaded(identity, title, lambda: _source(title, tree, variable, constants)).g.address)


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


def _call(builder: Any, address: Any, x: Any, c: Any, out: Any, stride: Any) -> None:
    number, integer = ir.DoubleType(), ir.IntType(64)
    pointer = number.as_pointer()
    function = ir.FunctionType(ir.VoidType(), [number, pointer, pointer, integer])
    builder.call(builder.inttoptr(address, function.as_pointer()), [x, c, out, stride])


def _row(context: Any, builder: Any, kind: Any, value: Any, k: Any) -> Any:
    """Where the k-th row of a matrix begins."""
    matrix = context.make_array(kind)(context, builder, value)
    columns = cgutils.unpack_tuple(builder, matrix.shape, 2)[1]
    return builder.gep(matrix.data, [builder.mul(k, columns)])


def _returned(context: Any, builder: Any, result: Any, out: Any) -> Any:
    numbers = [builder.load(cgutils.gep_inbounds(builder, out, i)) for i in range(3)]
    return context.make_tuple(builder, result, numbers)


@intrinsic
def _at_row(typingctx, address, x, c, k):
    """g, g', g'' at x, the constants in the k-th row of c."""
    result = types.UniTuple(types.float64, 3)

    def generate(context, builder, signature, arguments):
        out = cgutils.alloca_once(builder, ir.DoubleType(), size=3)
        row = _row(context, builder, signature.args[2], arguments[2], arguments[3])
        _call(builder, arguments[0], arguments[1], row, out, ir.Constant(ir.IntType(64), 0))
        return _returned(context, builder, signature.return_type, out)

    return result(types.int64, types.float64, c, types.int64), generate


@intrinsic
def _by_row(typingctx, address, x, c, k, out):
    """Fill the rows of out with the derivatives of g, g', g'' by the constants in the k-th row of c."""

    def generate(context, builder, signature, arguments):
        row = _row(context, builder, signature.args[2], arguments[2], arguments[3])
        table = context.make_array(signature.args[4])(context, builder, arguments[4])
        stride = cgutils.unpack_tuple(builder, table.shape, 2)[1]
        _call(builder, arguments[0], arguments[1], row, table.data, stride)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64, c, types.int64, out), generate


@intrinsic
def _at_pair(typingctx, address, x, first, second):
    """g, g', g'' at x, with two constants."""
    result = types.UniTuple(types.float64, 3)

    def generate(context, builder, signature, arguments):
        out = cgutils.alloca_once(builder, ir.DoubleType(), size=3)
        pair = cgutils.alloca_once(builder, ir.DoubleType(), size=2)
        for i in range(2):
            builder.store(arguments[2 + i], cgutils.gep_inbounds(builder, pair, i))
        _call(builder, arguments[0], arguments[1], pair, out, ir.Constant(ir.IntType(64), 0))
        return _returned(context, builder, signature.return_type, out)

    return result(types.int64, types.float64, types.float64, types.float64), generate


@inner
def at_row(address, x, c, k):
    """g(x; c[k]) and its first and second derivative by x; c is float64[rows, C]."""
    return _at_row(address, x, c, k)


@inner
def by_row(address, x, c, k, out):
    """Fill out[i] with the derivatives of (g, g', g'') by c[k, i], float64[C, 3 or more]."""
    _by_row(address, x, c, k, out)


@inner
def at_pair(address, x, first, second):
    """g(x; first, second) and its first and second derivative by x."""
    return _at_pair(address, x, first, second)
