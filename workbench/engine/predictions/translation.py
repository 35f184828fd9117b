"""Functions of kernels as LLVM's code: the part of Python that kernels are written in, and no more.

A compiler of all of Python and numpy takes most of its time to find out what a function means; that of the kernels of a
fit is said in a second by LLVM. Here types are known where a function is called, and follow line by line:

- integers (int64), floats (float64), truths; tuples of what there is
- pointers to numbers and to named tuples in memory (see `machine`), whose arrays, in C order, are read where they are
- arrays: elements, rows and slices along the first axis that is left; `reshape`; structured ones by field
- assignments, `if`, `while`, `for` over `range` or the parts of a tuple, `break`, `continue`, `return`; functions of
  modules, `math`, `min`, `max`, `abs`; what is None is known in translation, and what that rules out is left out
- small arrays of a function's own, `np.zeros(shape)`

Arithmetic is that of Python and of the library of C, with numpy's numbers where there is none (1/0, log 0), in the
order in which it is written, so that bits do not depend on what is compiled together. What integers are divided by is
positive; indices are within bounds, and not negative unless written so. Anything else is `NotTranslated`.
"""

from __future__ import annotations

import ast
import builtins
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from workbench.engine.caches import source
from workbench.engine.predictions.abreast import ABREAST, TRUTHS, WIDE, exponential, logarithm

INT, FLOAT, BOOL = "i64", "double", "i1"
LANES = 16  # of `combine`
MANY = np.dtype([("abreast", np.float64, (ABREAST,))])  # numbers in memory that become one of WIDE


class NotTranslated(Exception):
    """A function uses something that is not known here: what, and where."""


class PointerKind(NamedTuple):
    """To numbers (a dtype) or to named tuples in memory (the form of an `Image`)."""

    to: Any


class ArrayKind(NamedTuple):
    """In C order."""

    dtype: np.dtype[Any]
    dimensions: int


class RecordKind(NamedTuple):
    """An element of a structured array, where it is."""

    dtype: np.dtype[Any]


class TupleKind(NamedTuple):
    """Of values of some kinds, which may have names."""

    parts: tuple[Any, ...]
    names: tuple[str, ...] = ()


class KnownKind(NamedTuple):
    """Something of Python's, known in translation."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KnownKind) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


Kind = Any  # one of these


class Value(NamedTuple):
    """Its kind, and LLVM's names of the numbers that it is made of."""

    kind: Kind
    numbers: tuple[str, ...] = ()


def flat(kind: Kind) -> list[str]:
    """LLVM's types of the numbers that a value of a kind is made of."""
    if isinstance(kind, str):
        return [kind]
    if isinstance(kind, (PointerKind, RecordKind)):
        return ["ptr"]
    if isinstance(kind, ArrayKind):
        return ["ptr"] + [INT] * kind.dimensions
    if isinstance(kind, TupleKind):
        return [number for part in kind.parts for number in flat(part)]
    return []


def _parts(value: Value) -> list[Value]:
    """The values that a tuple is made of."""
    found, at = [], 0
    for kind in value.kind.parts:
        size = len(flat(kind))
        found.append(Value(kind, value.numbers[at : at + size]))
        at += size
    return found


def _tuple(values: Sequence[Value]) -> Value:
    return Value(TupleKind(tuple(v.kind for v in values)), tuple(n for v in values for n in v.numbers))


def _common(a: Kind, b: Kind) -> Kind:
    """The kind of what may be of either."""
    if a == b:
        return a
    if isinstance(a, str) and isinstance(b, str):
        if TRUTHS in (a, b) and {a, b} != {TRUTHS, BOOL}:
            raise NotTranslated("Truths of several numbers are no numbers.")
        return next((kind for kind in (TRUTHS, WIDE, FLOAT) if kind in (a, b)), INT)
    if isinstance(a, TupleKind) and isinstance(b, TupleKind) and len(a.parts) == len(b.parts):
        return TupleKind(tuple(_common(x, y) for x, y in zip(a.parts, b.parts, strict=True)))
    raise NotTranslated(f"It is {a} here and {b} there.")


def _constant(value: Any) -> Value:
    """A value of Python's: a number is one of LLVM's."""
    if isinstance(value, (bool, np.bool_)):
        return Value(BOOL, ("true" if value else "false",))
    if isinstance(value, (int, np.integer)):
        return Value(INT, (str(int(value)),))
    if isinstance(value, (float, np.floating)):
        return Value(FLOAT, (f"0x{struct.unpack('>Q', struct.pack('>d', float(value)))[0]:016X}",))
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return _tuple([_constant(part) for part in value])
    return Value(KnownKind(value))


def _literal(value: Value) -> int | None:
    """The number that an integer is, if that is known."""
    text = value.numbers[0] if value.kind == INT else ""
    return int(text) if text.lstrip("-").isdigit() else None


def numbers_of(form: Any) -> int:
    """How many numbers of 8 bytes what has a form is in memory, see `Image`."""
    if form is None or form is int or form is float:
        return 1
    of, parts = form
    if isinstance(of, np.dtype):
        return 1 + (parts if isinstance(parts, int) else len(parts))
    return sum(map(numbers_of, parts))


def _knows_shapes(form: Any) -> bool:
    if not isinstance(form, tuple):
        return False
    of, parts = form
    return isinstance(parts, tuple) if isinstance(of, np.dtype) else any(map(_knows_shapes, parts))


@cache
def _module(path: str) -> ast.Module:
    return ast.parse(source(path))


@cache
def _definition(code: Any) -> ast.FunctionDef:
    """The source of a function."""
    for node in ast.walk(_module(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    raise NotTranslated(f"There is no source of {code.co_name}.")


_DECLARATIONS = {
    "llvm.memcpy.p0.p0.i64": "void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
    "pow": "double @llvm.pow.f64(double, double)",
} | {
    name: f"double @{name}(double)"
    for name in ("tan", "tanh", "expm1", "log1p", "erf", "erfc", "lgamma", "log2")
} | {
    name: f"double @llvm.{name}.f64(double)"
    for name in ("exp", "log", "sqrt", "fabs", "floor", "ceil", "sin", "cos")
} | {
    f"{name} abreast": f"{WIDE} @llvm.{name}.v{ABREAST}f64({WIDE})" for name in ("sqrt", "fabs")
}  # fmt: skip
_OWN = {"exp": exponential, "log": logarithm}
_OF_MATH = {
    getattr(math, name): name
    for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "expm1", "log1p", "erf", "erfc", "lgamma", "log2")
}
_SIGNED = {"Lt": "slt", "LtE": "sle", "Gt": "sgt", "GtE": "sge", "Eq": "eq", "NotEq": "ne"}
_TRUNCATED = {math.floor: "floor", math.ceil: "ceil"}


class Translation:
    """Functions, called from each other, as the text of a module of LLVM's."""

    def __init__(self) -> None:
        self._functions: dict[Any, tuple[str, Kind]] = {}
        self._texts: list[str] = []
        self._declared: set[str] = set()
        self._own: set[str] = set()
        self._tables: dict[int, tuple[str, Any]] = {}
        self.knows_shapes = False

    def entry(self, function: Callable[..., Any], kinds: Sequence[Kind], name: str, packed: bool) -> str:
        """The text of a module that has a function, for arguments of some kinds, under a name.

        It returns an integer: 0 where the function returns nothing. `packed`: it takes a pointer to its arguments, the
        numbers that they are made of one after another.

        Raises
        ------
        NotTranslated
            If it uses what is not known here.
        """
        forms = [kind.to for kind in kinds if isinstance(kind, PointerKind)]
        self.knows_shapes = any(map(_knows_shapes, forms))
        inner, result = self.function(function, kinds, "")
        if result != INT and flat(result):
            raise NotTranslated(f"{function.__name__} returns {result}.")
        types = [number for kind in kinds for number in flat(kind)]
        given = ", ".join(f"{of} %a{k}" for k, of in enumerate(types))
        lines = [f"define i64 @{name}({'ptr %p' if packed else given}) {{"]
        for k, of in enumerate(types if packed else []):
            lines += [f"  %p{k} = getelementptr inbounds i64, ptr %p, i64 {k}", f"  %a{k} = load {of}, ptr %p{k}"]
        if flat(result):
            lines += [f"  %r = call i64 @{inner}({given})", "  ret i64 %r", "}"]
        else:
            lines += [f"  call void @{inner}({given})", "  ret i64 0", "}"]
        tables = [text for text, _ in self._tables.values()]
        declared = [f"declare {_DECLARATIONS[name]}" for name in sorted(self._declared)]
        own = [_OWN[name](f"abreast.{name}") for name in sorted(self._own)]
        return "\n".join([*tables, *declared, *own, *self._texts, *lines, "!0 = !{}"])

    def function(self, function: Callable[..., Any], kinds: Sequence[Kind], attribute: str) -> tuple[str, Kind]:
        """The name of a function for arguments of some kinds, and the kind of what it returns."""
        key = function, tuple(kinds)
        if key not in self._functions:
            name = f"f{len(self._functions)}.{function.__name__}"
            self._functions[key] = name, None
            body = _Body(self, function, kinds)
            text = body.text(name, attribute)
            self._functions[key] = name, body.result
            self._texts.append(text)
        return self._functions[key]

    def declare(self, name: str) -> str:
        """A function of LLVM or of the library of C."""
        self._declared.add(name)
        return _DECLARATIONS[name].split("@")[1].split("(")[0]

    def declare_abreast(self, name: str) -> str:
        """A function of WIDE; empty if there is none."""
        if name in _OWN:
            self._own.add(name)
            return f"abreast.{name}"
        return self.declare(f"{name} abreast") if f"{name} abreast" in _DECLARATIONS else ""

    def table(self, array: Any) -> Value:
        """A constant array."""
        if id(array) not in self._tables:
            if array.dtype not in (np.float64, np.int64):
                raise NotTranslated(f"There are no constants of {array.dtype}.")
            of = FLOAT if array.dtype == np.float64 else INT
            numbers = ", ".join(f"{of} {_constant(number).numbers[0]}" for number in array.ravel())
            name = f"@t{len(self._tables)}"
            text = f"{name} = private unnamed_addr constant [{array.size} x {of}] [{numbers}], align 8"
            self._tables[id(array)] = text, array
        name = self._tables[id(array)][0].split(" ")[0]
        return Value(ArrayKind(array.dtype, array.ndim), (name, *map(str, array.shape)))


class _Again(Exception):
    """A variable turned out to be of another kind."""


class _Place(NamedTuple):
    """Where a number is in memory."""

    dtype: np.dtype[Any]
    address: str


class _Body:
    """A function, translated statement by statement."""

    def __init__(self, translation: Translation, function: Callable[..., Any], kinds: Sequence[Kind]) -> None:
        self._translation, self._node = translation, _definition(function.__code__)
        self._globals = function.__globals__
        names = [argument.arg for argument in self._node.args.args]
        if len(names) != len(kinds) or function.__closure__ or self._node.args.kwonlyargs:
            raise NotTranslated(f"{function.__name__} takes other arguments.")
        self._given = dict(zip(names, kinds, strict=True))
        self._kinds: dict[str, Kind] = dict(self._given)
        self._local = {n.id for n in ast.walk(self._node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.result: Kind = None
        self._line = self._node.lineno
        self._apart = False

    def text(self, name: str, attribute: str) -> str:
        """The text of the function."""
        while True:
            try:
                return self._text(name, attribute)
            except _Again:
                continue
            except NotTranslated as error:
                if error.args[1:]:
                    raise
                raise NotTranslated(error.args[0], f"{self._node.name}, line {self._line}") from None

    def _text(self, name: str, attribute: str) -> str:
        self._lines: list[str] = []
        self._room: list[str] = []
        self._count, self._open = 0, True
        self._slots: dict[str, tuple[str, ...]] = {}
        self._loops: list[tuple[str, str]] = []
        self._reached: set[str] = set()
        at, given = 0, []
        for variable, kind in self._given.items():
            numbers = [f"%a{at + k}" for k in range(len(flat(kind)))]
            at += len(numbers)
            given += [f"{of} {number}" for of, number in zip(flat(kind), numbers, strict=True)]
            self._store(variable, Value(kind, tuple(numbers)))
        for statement in self._node.body:
            self._statement(statement)
        if self._open:
            self._return(Value(KnownKind(None)))
        types = flat(self.result)
        of = types[0] if len(types) == 1 else f"{{ {', '.join(types)} }}" if types else "void"
        attributes = "noinline " if self._apart else attribute
        head = f"define internal {of} @{name}({', '.join(given)}) {attributes}nounwind {{"
        return "\n".join([head, *self._room, *self._lines, "}"])

    # -- lines

    def _emit(self, text: str) -> None:
        if self._open:
            self._lines.append("  " + text)

    def _name(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def _do(self, text: str) -> str:
        name = self._name()
        self._emit(f"{name} = {text}")
        return name

    def _label(self) -> str:
        self._count += 1
        return f"b{self._count}"

    def _begin(self, label: str) -> None:
        """A block, into which what was before goes on."""
        self._go(label)
        self._lines.append(f"{label}:")
        self._open = True

    def _go(self, label: str) -> None:
        if self._open:
            self._reached.add(label)
        self._emit(f"br label %{label}")
        self._open = False

    def _branch(self, condition: str, yes: str, no: str) -> None:
        if self._open:
            self._reached |= {yes, no}
        self._emit(f"br i1 {condition}, label %{yes}, label %{no}")
        self._open = False

    def _begin_if_reached(self, label: str) -> None:
        """What comes after a loop, or after both ways of a condition: nothing may lead there."""
        if self._open or label in self._reached:
            self._begin(label)

    def _allocated(self, of: str) -> str:
        name = self._name()
        self._room.append(f"  {name} = alloca {of}")
        return name

    @contextmanager
    def _aside(self) -> Iterator[list[str]]:
        """Lines that are put into place later."""
        kept, self._lines = self._lines, []
        yield self._lines
        self._lines = kept

    # -- variables

    def _store(self, name: str, value: Value) -> None:
        known = self._kinds.get(name)
        kind = value.kind if known is None else _common(known, value.kind)
        if kind != known:
            self._kinds[name] = kind
            if known is not None:
                raise _Again
        if name not in self._slots:
            self._slots[name] = tuple(self._allocated(of) for of in flat(kind))
        self._put(kind, self._slots[name], value)

    def _put(self, kind: Kind, slots: Sequence[str], value: Value) -> None:
        numbers = self._as(value, kind).numbers
        for of, number, slot in zip(flat(kind), numbers, slots, strict=True):
            self._emit(f"store {of} {number}, ptr {slot}")

    def _take(self, kind: Kind, slots: Sequence[str]) -> Value:
        return Value(kind, tuple(self._do(f"load {of}, ptr {s}") for of, s in zip(flat(kind), slots, strict=True)))

    def _as(self, value: Value, kind: Kind) -> Value:
        """The value as one of another kind."""
        if value.kind == kind:
            return value
        if isinstance(kind, TupleKind) and isinstance(value.kind, TupleKind):
            return _tuple([self._as(v, k) for v, k in zip(_parts(value), kind.parts, strict=True)])
        if value.kind == INT and kind == FLOAT:
            literal = _literal(value)
            return Value(FLOAT, (self._do(f"sitofp i64 {value.numbers[0]} to double"),)) if literal is None else (
                _constant(float(literal))
            )  # fmt: skip
        if kind == WIDE or (kind == TRUTHS and value.kind == BOOL):
            of = FLOAT if kind == WIDE else BOOL
            one = self._do(f"insertelement {kind} poison, {of} {self._as(value, of).numbers[0]}, i32 0")
            places = f"<{ABREAST} x i32> zeroinitializer"
            return Value(kind, (self._do(f"shufflevector {kind} {one}, {kind} poison, {places}"),))
        if value.kind == BOOL and kind == INT:
            return Value(INT, (self._do(f"zext i1 {value.numbers[0]} to i64"),))
        if value.kind == BOOL and kind == FLOAT:
            return Value(FLOAT, (self._do(f"uitofp i1 {value.numbers[0]} to double"),))
        raise NotTranslated(f"{value.kind} is no {kind}.")

    def _number(self, node: ast.expr, kind: str) -> str:
        return self._as(self._value(node), kind).numbers[0]

    def _integer(self, node: ast.expr) -> Value:
        value = self._value(node)
        if value.kind not in (INT, BOOL):
            raise NotTranslated(f"{ast.unparse(node)} is no integer.")
        return self._as(value, INT)

    # -- statements

    def _statement(self, node: ast.stmt) -> None:
        if not self._open:
            return
        self._line = node.lineno
        handle = getattr(self, f"_on_{type(node).__name__.lower()}", None)
        if handle is None:
            raise NotTranslated(f"There is no {type(node).__name__} here.")
        handle(node)

    def _on_expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self._value(node.value)

    def _on_pass(self, node: ast.Pass) -> None:
        pass

    def _on_assign(self, node: ast.Assign) -> None:
        value = self._value(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self._store(target.id, value)
        elif isinstance(target, ast.Tuple):
            parts = self._unpacked(value)
            for one, part in zip(target.elts, parts, strict=True):
                self._assign(one, part)
        else:
            self._fill(self._place(target), value)

    def _unpacked(self, value: Value) -> list[Value]:
        if not isinstance(value.kind, TupleKind):
            raise NotTranslated(f"{value.kind} has no parts.")
        return _parts(value)

    def _fill(self, place: _Place | Value, value: Value) -> None:
        """Put a value into a number, a record, or all numbers of an array."""
        if isinstance(place, _Place):
            self._write(place, value)
        elif isinstance(place.kind, RecordKind) and place.kind == value.kind:
            copy, size = self._translation.declare("llvm.memcpy.p0.p0.i64"), place.kind.dtype.itemsize
            self._emit(f"call void @{copy}(ptr {place.numbers[0]}, ptr {value.numbers[0]}, i64 {size}, i1 false)")
        elif isinstance(place.kind, ArrayKind) and isinstance(value.kind, str):
            with self._counted("0", self._size(place), "1") as k:
                self._write(_Place(place.kind.dtype, self._beyond(place.kind.dtype, place.numbers[0], k)), value)
        else:
            raise NotTranslated(f"{value.kind} cannot be put into {place.kind}.")

    def _on_augassign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            old = self._value(ast.Name(node.target.id, ast.Load()))
            self._store(node.target.id, self._operation(node.op, old, self._value(node.value), node.value))
            return
        place = self._place(node.target)
        if not isinstance(place, _Place):
            raise NotTranslated("Only numbers are added to.")
        self._write(place, self._operation(node.op, self._read(place), self._value(node.value), node.value))

    def _on_return(self, node: ast.Return) -> None:
        self._return(Value(KnownKind(None)) if node.value is None else self._value(node.value))

    def _return(self, value: Value) -> None:
        if not self._open:
            return
        kind = value.kind if self.result is None else _common(self.result, value.kind)
        if kind != self.result:
            again, self.result = self.result is not None, kind
            if again:
                raise _Again
        types, numbers = flat(kind), self._as(value, kind).numbers
        if len(types) > 1:
            whole, result = f"{{ {', '.join(types)} }}", "undef"
            for k, (of, number) in enumerate(zip(types, numbers, strict=True)):
                result = self._do(f"insertvalue {whole} {result}, {of} {number}, {k}")
            self._emit(f"ret {whole} {result}")
        else:
            self._emit(f"ret {types[0]} {numbers[0]}" if types else "ret void")
        self._open = False

    def _on_if(self, node: ast.If) -> None:
        condition = self._truth(self._value(node.test))
        if isinstance(condition, bool):
            for statement in node.body if condition else node.orelse:
                self._statement(statement)
            return
        yes, no, after = self._label(), self._label(), self._label()
        self._branch(condition, yes, no)
        for label, body in ((yes, node.body), (no, node.orelse)):
            self._begin(label)
            for statement in body:
                self._statement(statement)
            self._go(after)
        self._begin_if_reached(after)

    def _on_while(self, node: ast.While) -> None:
        test, body, after = self._label(), self._label(), self._label()
        self._begin(test)
        condition = self._truth(self._value(node.test))
        if condition is True:
            self._go(body)
        elif isinstance(condition, str):
            self._branch(condition, body, after)
        else:
            raise NotTranslated("A loop that is never entered.")
        self._begin(body)
        self._loop(node.body, test, after)
        self._go(test)
        self._begin_if_reached(after)

    def _loop(self, body: list[ast.stmt], again: str, after: str) -> None:
        self._loops.append((again, after))
        for statement in body:
            self._statement(statement)
        self._loops.pop()

    def _on_break(self, node: ast.Break) -> None:
        self._go(self._loops[-1][1])

    def _on_continue(self, node: ast.Continue) -> None:
        self._go(self._loops[-1][0])

    @contextmanager
    def _counted(self, first: str, past: str, step: str, labels: tuple[str, str] | None = None) -> Iterator[str]:
        """A loop; what counts is not negative unless it is a literal."""
        again, after = labels or (self._label(), self._label())
        test, body = self._label(), self._label()
        counter = self._allocated(INT)
        self._emit(f"store i64 {first}, ptr {counter}")
        self._begin(test)
        k = self._do(f"load i64, ptr {counter}")
        order = "sgt" if step.startswith("-") else "slt"
        self._branch(self._do(f"icmp {order} i64 {k}, {past}"), body, after)
        self._begin(body)
        yield k
        self._begin(again)
        following = self._do(f"add nsw i64 {k}, {step}")
        self._emit(f"store i64 {following}, ptr {counter}")
        self._go(test)
        self._begin(after)

    def _on_for(self, node: ast.For) -> None:
        if node.orelse:
            raise NotTranslated("There is no else of loops here.")
        of = node.iter
        if isinstance(of, ast.Call) and isinstance(of.func, ast.Name) and of.func.id == "range":
            numbers = [self._integer(argument).numbers[0] for argument in of.args]
            first, past, step = {1: ["0", *numbers, "1"], 2: [*numbers, "1"], 3: numbers}[len(numbers)]
            again, after = self._label(), self._label()
            with self._counted(first, past, step, (again, after)) as k:
                self._assign(node.target, Value(INT, (k,)))
                self._loop(node.body, again, after)
            return
        after = self._label()
        for part in self._unpacked(self._value(of)):
            if not self._open:
                break
            again = self._label()
            self._assign(node.target, part)
            self._loop(node.body, again, after)
            self._begin_if_reached(again)
        self._begin_if_reached(after)

    # -- numbers in memory

    def _beyond(self, dtype: np.dtype[Any], address: str, k: str) -> str:
        if k == "0":
            return address
        if dtype.fields is not None or dtype.itemsize != 8:
            return self._do(f"getelementptr inbounds [{dtype.itemsize} x i8], ptr {address}, i64 {k}")
        return self._do(f"getelementptr inbounds {FLOAT if dtype.kind == 'f' else INT}, ptr {address}, i64 {k}")

    def _read(self, place: _Place) -> Value:
        if place.dtype in (np.float64, np.int64):
            of = FLOAT if place.dtype == np.float64 else INT
            return Value(of, (self._do(f"load {of}, ptr {place.address}"),))
        if place.dtype == MANY:
            return Value(WIDE, (self._do(f"load {WIDE}, ptr {place.address}, align 8"),))
        if place.dtype == np.bool_:
            byte = self._do(f"load i8, ptr {place.address}")
            return Value(BOOL, (self._do(f"icmp ne i8 {byte}, 0"),))
        raise NotTranslated(f"Numbers of {place.dtype} are not known.")

    def _write(self, place: _Place, value: Value) -> None:
        if place.dtype == np.float64:
            self._emit(f"store double {self._as(value, FLOAT).numbers[0]}, ptr {place.address}")
        elif place.dtype == MANY:
            self._emit(f"store {WIDE} {self._as(value, WIDE).numbers[0]}, ptr {place.address}, align 8")
        elif place.dtype == np.int64:
            if value.kind not in (INT, BOOL):
                raise NotTranslated(f"{value.kind} is put among integers.")
            self._emit(f"store i64 {self._as(value, INT).numbers[0]}, ptr {place.address}")
        elif place.dtype == np.bool_ and value.kind == BOOL:
            byte = self._do(f"zext i1 {value.numbers[0]} to i8")
            self._emit(f"store i8 {byte}, ptr {place.address}")
        else:
            raise NotTranslated(f"Numbers of {place.dtype} are not known.")

    def _size(self, array: Value) -> str:
        size = array.numbers[1]
        for number in array.numbers[2:]:
            size = self._times(size, number)
        return size

    def _times(self, a: str, b: str) -> str:
        return b if a == "1" else a if b == "1" else self._do(f"mul nsw i64 {a}, {b}")

    def _place(self, node: ast.expr) -> _Place | Value:
        """Where a number is, or a record or an array."""
        if isinstance(node, ast.Attribute):
            base = self._value(node.value)
            if isinstance(base.kind, RecordKind):
                return self._field(base, node.attr)
            raise NotTranslated(f"{node.attr} of {base.kind} is not set.")
        if not isinstance(node, ast.Subscript):
            raise NotTranslated(f"{ast.unparse(node)} is no place.")
        return self._element(self._value(node.value), node.slice)

    def _field(self, record: Value, name: str) -> _Place:
        dtype, offset = record.kind.dtype.fields[name][:2]
        at = record.numbers[0]
        return _Place(dtype, self._do(f"getelementptr inbounds i8, ptr {at}, i64 {offset}") if offset else at)

    def _element(self, base: Value, index: ast.expr) -> _Place | Value:
        kind = base.kind
        if isinstance(kind, PointerKind):
            k = self._integer(index).numbers[0]
            if isinstance(kind.to, np.dtype):
                return _Place(kind.to, self._beyond(kind.to, base.numbers[0], k))
            if k == "0":
                return base
            size = 8 * numbers_of(kind.to)
            return Value(kind, (self._do(f"getelementptr inbounds [{size} x i8], ptr {base.numbers[0]}, i64 {k}"),))
        if not isinstance(kind, ArrayKind):
            raise NotTranslated(f"{kind} has no elements.")
        data, sizes = base.numbers[0], list(base.numbers[1:])
        indices, at = list(index.elts) if isinstance(index, ast.Tuple) else [index], "0"
        length: str | None = None
        for axis, one in enumerate(indices):
            at = self._times(at, sizes[axis]) if axis and at != "0" else at
            if isinstance(one, ast.Slice):
                if axis != len(indices) - 1 or one.step is not None:
                    raise NotTranslated("Slices are along the last axis that is named.")
                first = "0" if one.lower is None else self._integer(one.lower).numbers[0]
                past = sizes[axis] if one.upper is None else self._integer(one.upper).numbers[0]
                length = past if first == "0" else self._do(f"sub nsw i64 {past}, {first}")
            else:
                value = self._integer(one)
                literal = _literal(value)
                first = value.numbers[0]
                if literal is not None and literal < 0:
                    first = self._do(f"add nsw i64 {sizes[axis]}, {literal}")
            at = first if at == "0" else at if first == "0" else self._do(f"add nsw i64 {at}, {first}")
        left = sizes[len(indices) :]
        for number in left:
            at = self._times(at, number) if at != "0" else at
        address = self._beyond(kind.dtype, data, at)
        if length is not None:
            left.insert(0, length)
        if left:
            return Value(ArrayKind(kind.dtype, len(left)), (address, *left))
        record = kind.dtype.fields and kind.dtype != MANY
        return Value(RecordKind(kind.dtype), (address,)) if record else _Place(kind.dtype, address)

    def _member(self, pointer: Value, name: str) -> Value:
        """A field of a named tuple in memory. What it is does not change while kernels run."""
        of, forms = pointer.kind.to
        place = of._fields.index(name)
        offset, form = 8 * sum(map(numbers_of, forms[:place])), forms[place]

        def at(number: int) -> str:
            return self._do(f"getelementptr inbounds i8, ptr {pointer.numbers[0]}, i64 {offset + 8 * number}")

        def read(of: str, number: int) -> str:
            return self._do(f"load {of}, ptr {at(number)}, !invariant.load !0")

        if form is None:
            return Value(KnownKind(None))
        if form is int or form is float:
            number = INT if form is int else FLOAT
            return Value(number, (read(number, 0),))
        if isinstance(form[0], np.dtype):
            shape = [None] * form[1] if isinstance(form[1], int) else form[1]
            sizes = [read(INT, 1 + axis) if size is None else str(size) for axis, size in enumerate(shape)]
            return Value(ArrayKind(form[0], len(shape)), (read("ptr", 0), *sizes))
        return Value(PointerKind(form), (at(0),))

    # -- expressions

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            return _constant(node.value)
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(self._value(node.value), node.attr)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.Tuple):
            return _tuple([self._value(part) for part in node.elts])
        if isinstance(node, ast.BinOp):
            return self._operation(node.op, self._value(node.left), self._value(node.right), node.right)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.BoolOp):
            return self._logical(node.values, isinstance(node.op, ast.And))
        if isinstance(node, ast.IfExp):
            return self._either(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        raise NotTranslated(f"{ast.unparse(node)} is not known.")

    def _named(self, name: str) -> Value:
        if name in self._local or name in self._given:
            if name not in self._slots:
                raise NotTranslated(f"{name} has no value yet.")
            return self._take(self._kinds[name], self._slots[name])
        if name in self._globals:
            return _constant(self._globals[name])
        return _constant(getattr(builtins, name))

    def _attribute(self, base: Value, name: str) -> Value:
        kind = base.kind
        if isinstance(kind, KnownKind):
            return _constant(getattr(kind.value, name))
        if isinstance(kind, PointerKind):
            return self._member(base, name)
        if isinstance(kind, RecordKind):
            return self._read(self._field(base, name))
        if isinstance(kind, TupleKind) and name in kind.names:
            return _parts(base)[kind.names.index(name)]
        if isinstance(kind, ArrayKind) and name == "shape":
            return _tuple([Value(INT, (number,)) for number in base.numbers[1:]])
        raise NotTranslated(f"{kind} has no {name}.")

    def _subscript(self, node: ast.Subscript) -> Value:
        base = self._value(node.value)
        if isinstance(base.kind, KnownKind) and isinstance(base.kind.value, np.ndarray):
            base = self._translation.table(base.kind.value)
        if isinstance(base.kind, TupleKind):
            return self._part(base, self._integer(node.slice))
        found = self._element(base, node.slice)
        return self._read(found) if isinstance(found, _Place) else found

    def _part(self, base: Value, index: Value) -> Value:
        literal = _literal(index)
        if literal is not None:
            return _parts(base)[literal]
        parts = _parts(base)
        if any(part.kind != FLOAT for part in parts):
            raise NotTranslated("Which part of a tuple is not known.")
        room = self._allocated(f"[{len(parts)} x double]")
        for k, part in enumerate(parts):
            place = _Place(np.dtype(np.float64), self._beyond(np.dtype(np.float64), room, str(k)))
            self._write(place, part)
        return self._read(_Place(np.dtype(np.float64), self._beyond(np.dtype(np.float64), room, index.numbers[0])))

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self._value(node.operand)
        if isinstance(node.op, ast.Not):
            if value.kind == TRUTHS:
                return Value(TRUTHS, (self._do(f"xor {TRUTHS} {value.numbers[0]}, <{', '.join(['i1 1'] * ABREAST)}>"),))
            truth = self._truth(value)
            return _constant(not truth) if isinstance(truth, bool) else Value(BOOL, (self._not(truth),))
        if not isinstance(node.op, ast.USub):
            raise NotTranslated(f"{ast.unparse(node)} is not known.")
        if value.kind == FLOAT:
            if isinstance(node.operand, ast.Constant):
                return _constant(-node.operand.value)  # type: ignore[operator]
            return Value(FLOAT, (self._do(f"fneg double {value.numbers[0]}"),))
        if value.kind == WIDE:
            return Value(WIDE, (self._do(f"fneg {WIDE} {value.numbers[0]}"),))
        value = self._as(value, INT)
        literal = _literal(value)
        return Value(INT, (self._do(f"sub nsw i64 0, {value.numbers[0]}") if literal is None else str(-literal),))

    def _not(self, truth: str) -> str:
        return self._do(f"xor i1 {truth}, true")

    def _operation(self, op: ast.operator, a: Value, b: Value, right: ast.expr) -> Value:
        kind = _common(a.kind, b.kind)
        if not isinstance(kind, str):
            raise NotTranslated(f"There is no arithmetic of {kind}.")
        kind = INT if kind == BOOL else kind
        if isinstance(op, ast.Pow):
            return self._power(a, b, right)
        if isinstance(op, ast.Div):
            kind = WIDE if kind == WIDE else FLOAT
        x, y = self._as(a, kind).numbers[0], self._as(b, kind).numbers[0]
        name = type(op).__name__
        simple = {"Add": "add", "Sub": "sub", "Mult": "mul"}
        if kind in (FLOAT, WIDE):
            if name in simple or name == "Div":
                return Value(kind, (self._do(f"f{simple.get(name, 'div')} {kind} {x}, {y}"),))
        elif name in simple:
            return Value(INT, (self._folded(simple[name], x, y),))
        elif name in ("BitAnd", "BitOr"):
            return Value(INT, (self._do(f"{'and' if name == 'BitAnd' else 'or'} i64 {x}, {y}"),))
        elif name in ("FloorDiv", "Mod"):
            return Value(INT, (self._floored(x, y, name == "Mod"),))
        raise NotTranslated(f"{name} of {kind} is not known.")

    def _folded(self, op: str, x: str, y: str) -> str:
        if x.lstrip("-").isdigit() and y.lstrip("-").isdigit():
            return str({"add": int(x) + int(y), "sub": int(x) - int(y), "mul": int(x) * int(y)}[op])
        return self._do(f"{op} nsw i64 {x}, {y}")

    def _floored(self, x: str, y: str, rest: bool) -> str:
        """Division by what is positive, rounded down, or what it leaves."""
        left = self._do(f"srem i64 {x}, {y}")
        negative = self._do(f"icmp slt i64 {left}, 0")
        if rest:
            return self._do(f"select i1 {negative}, i64 {self._do(f'add nsw i64 {left}, {y}')}, i64 {left}")
        quotient = self._do(f"sdiv i64 {x}, {y}")
        return self._do(f"sub nsw i64 {quotient}, {self._do(f'zext i1 {negative} to i64')}")

    def _power(self, a: Value, b: Value, right: ast.expr) -> Value:
        literal = right.value if isinstance(right, ast.Constant) else None
        if isinstance(literal, int) and 0 < literal < 8 and a.kind in (FLOAT, WIDE):
            square, result = a.numbers[0], ""
            while literal:
                if literal & 1:
                    result = self._do(f"fmul {a.kind} {result}, {square}") if result else square
                literal >>= 1
                if literal:
                    square = self._do(f"fmul {a.kind} {square}, {square}")
            return Value(a.kind, (result,))
        x, y = self._as(a, FLOAT).numbers[0], self._as(b, FLOAT).numbers[0]
        name = self._translation.declare("pow")
        return Value(FLOAT, (self._do(f"call double @{name}(double {x}, double {y})"),))

    def _truth(self, value: Value) -> bool | str:
        if isinstance(value.kind, KnownKind):
            return bool(value.kind.value)
        if value.kind == BOOL:
            return {"true": True, "false": False}.get(value.numbers[0], value.numbers[0])
        if value.kind == INT:
            return self._do(f"icmp ne i64 {value.numbers[0]}, 0")
        if value.kind == FLOAT:
            return self._do(f"fcmp une double {value.numbers[0]}, {_constant(0.0).numbers[0]}")
        if value.kind == TRUTHS:
            raise NotTranslated("Several numbers may go different ways.")
        raise NotTranslated(f"{value.kind} is neither true nor false.")

    def _comparison(self, node: ast.Compare) -> Value:
        left = self._value(node.left)
        total = _constant(True)
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self._value(other)
            total = self._both(total, self._compared(op, left, right))
            left = right
        return total

    def _both(self, a: Value, b: Value) -> Value:
        for one, other in ((a, b), (b, a)):
            if one.numbers[0] in ("true", "false"):
                return other if one.numbers[0] == "true" else one
        kind = _common(a.kind, b.kind)
        return Value(kind, (self._do(f"and {kind} {self._as(a, kind).numbers[0]}, {self._as(b, kind).numbers[0]}"),))

    def _compared(self, op: ast.cmpop, a: Value, b: Value) -> Value:
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not isinstance(b.kind, KnownKind) or b.kind.value is not None:
                raise NotTranslated("Only None is what something is.")
            return _constant((isinstance(a.kind, KnownKind) and a.kind.value is None) == isinstance(op, ast.Is))
        if isinstance(op, ast.In):
            found = ""
            for part in self._unpacked(b):
                same = self._compared(ast.Eq(), a, part).numbers[0]
                found = self._do(f"or i1 {found}, {same}") if found else same
            return Value(BOOL, (found or "false",))
        kind = _common(a.kind, b.kind)
        if not isinstance(kind, str):
            raise NotTranslated(f"{kind} is not compared.")
        kind = INT if kind == BOOL else kind
        name = type(op).__name__
        x, y = self._as(a, kind).numbers[0], self._as(b, kind).numbers[0]
        if kind in (FLOAT, WIDE):
            ordered = "une" if name == "NotEq" else "o" + _SIGNED[name].removeprefix("s")
            return Value(BOOL if kind == FLOAT else TRUTHS, (self._do(f"fcmp {ordered} {kind} {x}, {y}"),))
        return Value(BOOL, (self._do(f"icmp {_SIGNED[name]} i64 {x}, {y}"),))

    def _logical(self, nodes: Sequence[ast.expr], both: bool) -> Value:
        first = self._truth(self._value(nodes[0]))
        if len(nodes) == 1:
            return _constant(first) if isinstance(first, bool) else Value(BOOL, (first,))
        if isinstance(first, bool):
            return self._logical(nodes[1:], both) if first == both else _constant(first)
        slot, more, after = self._allocated(BOOL), self._label(), self._label()
        self._emit(f"store i1 {first}, ptr {slot}")
        self._branch(first, *((more, after) if both else (after, more)))
        self._begin(more)
        rest = self._logical(nodes[1:], both)
        self._emit(f"store i1 {rest.numbers[0]}, ptr {slot}")
        self._begin(after)
        return self._take(BOOL, [slot])

    def _either(self, node: ast.IfExp) -> Value:
        test = self._value(node.test)
        if test.kind == TRUTHS:
            return self._chosen(test, self._value(node.body), self._value(node.orelse))
        condition = self._truth(test)
        if isinstance(condition, bool):
            return self._value(node.body if condition else node.orelse)
        yes, no, after = self._label(), self._label(), self._label()
        self._branch(condition, yes, no)
        asides: list[tuple[list[str], Value]] = []
        for label, part in ((yes, node.body), (no, node.orelse)):
            with self._aside() as lines:
                self._lines.append(f"{label}:")
                self._open = True
                asides.append((lines, self._value(part)))
        kind = _common(asides[0][1].kind, asides[1][1].kind)
        slots = [self._allocated(of) for of in flat(kind)]
        for lines, value in asides:
            self._lines += lines
            self._open = True
            self._put(kind, slots, value)
            self._go(after)
        self._begin(after)
        return self._take(kind, slots)

    def _chosen(self, test: Value, a: Value, b: Value) -> Value:
        """Of each number one of the two."""
        if isinstance(a.kind, TupleKind):
            return _tuple([self._chosen(test, x, y) for x, y in zip(_parts(a), self._unpacked(b), strict=True)])
        x, y = self._as(a, WIDE).numbers[0], self._as(b, WIDE).numbers[0]
        return Value(WIDE, (self._do(f"select {TRUTHS} {test.numbers[0]}, {WIDE} {x}, {WIDE} {y}"),))

    # -- calls

    def _call(self, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "reshape":
            base = self._value(node.func.value)
            if isinstance(base.kind, ArrayKind):
                return self._reshaped(base, node.args)
        function = self._value(node.func).kind
        if node.keywords or not isinstance(function, KnownKind):
            raise NotTranslated(f"{ast.unparse(node)} is not known.")
        given = [self._value(argument) for argument in node.args]
        known = function.value
        if hasattr(known, "of_kernels"):
            return getattr(self, f"_do_{known.__name__}")(*given)  # type: ignore[no-any-return]
        code = getattr(known, "function", known)
        if hasattr(code, "__code__"):
            return self._called(code, given, "alwaysinline " if hasattr(code, "inlined") else "")
        return self._built_in(known, given, node)

    def _called(self, function: Callable[..., Any], given: Sequence[Value], attribute: str) -> Value:
        name, result = self._translation.function(function, [value.kind for value in given], attribute)
        if result is None:
            raise NotTranslated(f"{function.__name__} calls itself.")
        passed = ", ".join(
            f"{of} {number}" for value in given for of, number in zip(flat(value.kind), value.numbers, strict=True)
        )
        types = flat(result)
        if not types:
            self._emit(f"call void @{name}({passed})")
            return Value(result)
        if len(types) == 1:
            return Value(result, (self._do(f"call {types[0]} @{name}({passed})"),))
        whole = f"{{ {', '.join(types)} }}"
        found = self._do(f"call {whole} @{name}({passed})")
        return Value(result, tuple(self._do(f"extractvalue {whole} {found}, {k}") for k in range(len(types))))

    def _built_in(self, function: Any, given: list[Value], node: ast.Call) -> Value:
        if function in (min, max):
            return self._extreme(given, "gt" if function is max else "lt")
        if function is abs:
            if given[0].kind in (FLOAT, WIDE):
                return self._by_library("fabs", given)
            x = self._as(given[0], INT).numbers[0]
            minus, negative = self._do(f"sub nsw i64 0, {x}"), self._do(f"icmp slt i64 {x}, 0")
            return Value(INT, (self._do(f"select i1 {negative}, i64 {minus}, i64 {x}"),))
        if function is float:
            return self._as(given[0], FLOAT)
        if function in (np.empty, np.zeros):
            return self._array(given[0], function is np.zeros)
        if function is len and isinstance(given[0].kind, ArrayKind):
            return Value(INT, given[0].numbers[1:2])
        if function in (math.isnan, np.isnan):
            return self._compared(ast.NotEq(), given[0], given[0])
        if function in (math.isfinite, np.isfinite):
            return self._compared(ast.Lt(), self._by_library("fabs", given), _constant(math.inf))
        if function in _TRUNCATED:
            whole = self._by_library(_TRUNCATED[function], given).numbers[0]
            return Value(INT, (self._do(f"fptosi double {whole} to i64"),))
        if function in _OF_MATH:
            return self._by_library(_OF_MATH[function], given)
        raise NotTranslated(f"{ast.unparse(node)} is not known.")

    def _array(self, shape: Value, cleared: bool) -> Value:
        """A small array that lasts as long as the function runs."""
        if self._loops or any(kind != INT for kind in (shape.kind.parts if shape.numbers[1:] else [shape.kind])):
            raise NotTranslated("Arrays are made outside of loops, by their shape.")
        number = np.dtype(np.float64)
        array = Value(ArrayKind(number, len(shape.numbers)), ("", *shape.numbers))
        array = Value(array.kind, (self._do(f"alloca double, i64 {self._size(array)}, align 8"), *shape.numbers))
        if cleared:
            self._fill(array, _constant(0.0))
        return array

    def _by_library(self, name: str, given: Sequence[Value]) -> Value:
        if given[0].kind == WIDE:
            function = self._translation.declare_abreast(name)
            if not function:
                return self._one_by_one(given[0], lambda x: [self._by_library(name, [x])])[0]
            return Value(WIDE, (self._do(f"call {WIDE} @{function}({WIDE} {given[0].numbers[0]})"),))
        x = self._as(given[0], FLOAT).numbers[0]
        return Value(FLOAT, (self._do(f"call double @{self._translation.declare(name)}(double {x})"),))

    def _one_by_one(self, value: Value, function: Callable[[Value], list[Value]]) -> list[Value]:
        """Numbers that a function makes of one, of each of several."""
        made: list[str] = []
        for lane in range(ABREAST):
            x = self._do(f"extractelement {WIDE} {value.numbers[0]}, i32 {lane}")
            found = function(Value(FLOAT, (x,)))
            made = [
                self._do(f"insertelement {WIDE} {whole}, double {part.numbers[0]}, i32 {lane}")
                for whole, part in zip(made or ["poison"] * len(found), found, strict=True)
            ]
        return [Value(WIDE, (whole,)) for whole in made]

    def _extreme(self, given: Sequence[Value], order: str) -> Value:
        kind = given[0].kind
        for value in given[1:]:
            kind = _common(kind, value.kind)
        if kind not in (INT, FLOAT, WIDE):
            raise NotTranslated(f"There is no extreme of {kind}.")
        compare = f"icmp s{order} i64" if kind == INT else f"fcmp o{order} {kind}"
        truth = TRUTHS if kind == WIDE else BOOL
        found = self._as(given[0], kind).numbers[0]
        for value in given[1:]:
            other = self._as(value, kind).numbers[0]
            better = self._do(f"{compare} {other}, {found}")
            found = self._do(f"select {truth} {better}, {kind} {other}, {kind} {found}")
        return Value(kind, (found,))

    def _reshaped(self, base: Value, shape: Sequence[ast.expr]) -> Value:
        sizes = [self._integer(size) for size in shape]
        if len(sizes) == 1 and _literal(sizes[0]) == -1:
            return Value(ArrayKind(base.kind.dtype, 1), (base.numbers[0], self._size(base)))
        return Value(ArrayKind(base.kind.dtype, len(sizes)), (base.numbers[0], *(size.numbers[0] for size in sizes)))

    # -- what `machine` has for kernels

    def _do_pointer(self, array: Value) -> Value:
        return Value(PointerKind(array.kind.dtype), array.numbers[:1])

    def _do_beyond(self, pointer: Value, k: Value) -> Value:
        return Value(pointer.kind, (self._beyond(pointer.kind.to, pointer.numbers[0], k.numbers[0]),))

    def _do_view(self, pointer: Value, shape: Value) -> Value:
        return Value(ArrayKind(pointer.kind.to, len(shape.numbers)), (pointer.numbers[0], *shape.numbers))

    def _do_abreast(self, array: Value) -> Value:
        return Value(ArrayKind(MANY, array.kind.dimensions - 1), array.numbers[:-1])

    def _do_some(self, truth: Value) -> Value:
        return self._of_truths(truth, "ne", "0")

    def _do_every(self, truth: Value) -> Value:
        return self._of_truths(truth, "eq", "-1")

    def _of_truths(self, truth: Value, relation: str, bits: str) -> Value:
        if truth.kind != TRUTHS:
            return truth
        together = self._do(f"bitcast {TRUTHS} {truth.numbers[0]} to i{ABREAST}")
        return Value(BOOL, (self._do(f"icmp {relation} i{ABREAST} {together}, {bits}"),))

    def _do_stay_apart(self) -> Value:
        self._apart = not self._translation.knows_shapes
        return Value(KnownKind(None))

    def _by_address(self, of: str, address: Value, given: Sequence[tuple[str, str]]) -> str:
        function = self._do(f"inttoptr i64 {address.numbers[0]} to ptr")
        return f"call {of} {function}({', '.join(f'{kind} {number}' for kind, number in given)})"

    def _do_call(self, address: Value, arguments: Value) -> Value:
        passed = []
        for part in _parts(arguments):
            if isinstance(part.kind, (ArrayKind, PointerKind)):
                passed.append(("ptr", part.numbers[0]))
            elif part.kind == FLOAT:
                passed.append((FLOAT, part.numbers[0]))
            else:
                passed.append((INT, self._as(part, INT).numbers[0]))
        return Value(INT, (self._do(self._by_address(INT, address, passed)),))

    def _row(self, matrix: Value, k: Value) -> str:
        return self._beyond(matrix.kind.dtype, matrix.numbers[0], self._times(k.numbers[0], matrix.numbers[2]))

    def _numbers_by(self, address: Value, x: Value, c: str) -> Value:
        room = self._allocated("[3 x double]")
        passed = [(FLOAT, self._as(x, FLOAT).numbers[0]), ("ptr", c), ("ptr", room), (INT, "0")]
        self._emit(self._by_address("void", address, passed))
        number = np.dtype(np.float64)
        return _tuple([self._read(_Place(number, self._beyond(number, room, str(k)))) for k in range(3)])

    def _do_at_row(self, address: Value, x: Value, c: Value, k: Value) -> Value:
        return self._numbers_by(address, x, self._row(c, k))

    def _do_at_pair(self, address: Value, x: Value, first: Value, second: Value) -> Value:
        if x.kind == WIDE:
            each = self._one_by_one(x, lambda one: _parts(self._do_at_pair(address, one, first, second)))
            return _tuple(each)
        room, number = self._allocated("[2 x double]"), np.dtype(np.float64)
        for k, value in enumerate((first, second)):
            self._write(_Place(number, self._beyond(number, room, str(k))), value)
        return self._numbers_by(address, x, room)

    def _do_by_row(self, address: Value, x: Value, c: Value, k: Value, out: Value) -> Value:
        passed = [(FLOAT, self._as(x, FLOAT).numbers[0]), ("ptr", self._row(c, k))]
        self._emit(self._by_address("void", address, [*passed, ("ptr", out.numbers[0]), (INT, out.numbers[2])]))
        return Value(KnownKind(None))

    def _do_combine(self, z: Value, rows: Value, table: Value, width: Value, length: Value, out: Value) -> Value:
        if z.kind.to == MANY:
            self._combine_many(z, rows, table, width, length, out)
            return Value(KnownKind(None))
        many, number = f"<{LANES} x double>", np.dtype(np.float64)
        total = self._allocated(many)
        with self._counted("0", length.numbers[0], str(LANES)) as k:
            self._emit(f"store {many} zeroinitializer, ptr {total}")
            with self._counted("0", rows.numbers[0], "1") as row:
                factor = self._read(_Place(number, self._beyond(number, z.numbers[0], row))).numbers[0]
                one = self._do(f"insertelement {many} poison, double {factor}, i32 0")
                factors = self._do(f"shufflevector {many} {one}, {many} poison, <{LANES} x i32> zeroinitializer")
                at = self._do(f"add nsw i64 {self._times(row, width.numbers[0])}, {k}")
                part = self._do(f"load {many}, ptr {self._beyond(number, table.numbers[0], at)}, align 8")
                part = self._do(f"fmul contract {many} {factors}, {part}")
                before = self._do(f"load {many}, ptr {total}")
                self._emit(f"store {many} {self._do(f'fadd contract {many} {before}, {part}')}, ptr {total}")
            found = self._do(f"load {many}, ptr {total}")
            self._emit(f"store {many} {found}, ptr {self._beyond(number, out.numbers[0], k)}, align 8")
        return Value(KnownKind(None))

    def _combine_many(self, z: Value, rows: Value, table: Value, width: Value, length: Value, out: Value) -> None:
        total = self._allocated(WIDE)
        with self._counted("0", length.numbers[0], "1") as k:
            self._emit(f"store {WIDE} zeroinitializer, ptr {total}")
            with self._counted("0", rows.numbers[0], "1") as row:
                factor = self._read(_Place(MANY, self._beyond(MANY, z.numbers[0], row))).numbers[0]
                at = self._do(f"add nsw i64 {self._times(row, width.numbers[0])}, {k}")
                part = self._read(_Place(MANY, self._beyond(MANY, table.numbers[0], at))).numbers[0]
                part = self._do(f"fmul contract {WIDE} {factor}, {part}")
                before = self._do(f"load {WIDE}, ptr {total}")
                self._emit(f"store {WIDE} {self._do(f'fadd contract {WIDE} {before}, {part}')}, ptr {total}")
            self._write(_Place(MANY, self._beyond(MANY, out.numbers[0], k)), self._take(WIDE, [total]))
