"""Calls of scalar programs (see `scalar`) through their address, from kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


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
def at_row(typingctx, address, x, c, k):
    """g(x; c[k]) and its first and second derivative by x; c is float64[rows, C]."""
    result = types.UniTuple(types.float64, 3)

    def generate(context, builder, signature, arguments):
        out = cgutils.alloca_once(builder, ir.DoubleType(), size=3)
        row = _row(context, builder, signature.args[2], arguments[2], arguments[3])
        _call(builder, arguments[0], arguments[1], row, out, ir.Constant(ir.IntType(64), 0))
        return _returned(context, builder, signature.return_type, out)

    return result(types.int64, types.float64, c, types.int64), generate


@intrinsic
def by_row(typingctx, address, x, c, k, out):
    """Fill out[i] with the derivatives of (g, g', g'') by c[k, i], float64[C, 3 or more]."""

    def generate(context, builder, signature, arguments):
        row = _row(context, builder, signature.args[2], arguments[2], arguments[3])
        table = context.make_array(signature.args[4])(context, builder, arguments[4])
        stride = cgutils.unpack_tuple(builder, table.shape, 2)[1]
        _call(builder, arguments[0], arguments[1], row, table.data, stride)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64, c, types.int64, out), generate


@intrinsic
def at_pair(typingctx, address, x, first, second):
    """g(x; first, second) and its first and second derivative by x."""
    result = types.UniTuple(types.float64, 3)

    def generate(context, builder, signature, arguments):
        out = cgutils.alloca_once(builder, ir.DoubleType(), size=3)
        pair = cgutils.alloca_once(builder, ir.DoubleType(), size=2)
        for i in range(2):
            builder.store(arguments[2 + i], cgutils.gep_inbounds(builder, pair, i))
        _call(builder, arguments[0], arguments[1], pair, out, ir.Constant(ir.IntType(64), 0))
        return _returned(context, builder, signature.return_type, out)

    return result(types.int64, types.float64, types.float64, types.float64), generate
