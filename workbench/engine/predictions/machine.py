"""Machine code of kernels: functions in the part of Python that `translation` knows, compiled when they are needed.

A `kernel` is called from Python with arrays and numbers. Others are called by their address, with their arguments in
memory as they are: kernels that call others so are compiled once, whatever they call, as the search for modes does a
predictor. What such a function works on, a named tuple of arrays, is laid out once as the `Image` that the function
reads from memory, field by field (`pointer.name`); so a call costs less than a microsecond, however many arrays there
are, from Python (`callable_of`) and from kernels (`call`). Everything is compiled once for a form of arguments and kept
on disk. Where the GIL is not needed, in all of a kernel, it is released.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
import threading
from collections.abc import Callable, Collection, Sequence
from copy import copy
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.engine.caches import object_folder, source
from workbench.engine.predictions import translation
from workbench.engine.predictions.compiling import compiling
from workbench.engine.predictions.objects import address_of_text, is_kept
from workbench.engine.predictions.translation import FLOAT, INT

__all__ = [
    "FLOAT",
    "INT",
    "INTEGERS",
    "MANY_NUMBERS",
    "NUMBERS",
    "Image",
    "Kernel",
    "abreast",
    "address",
    "address_of",
    "at_pair",
    "at_row",
    "beyond",
    "by_row",
    "call",
    "callable_of",
    "combine",
    "every",
    "inlined",
    "inner",
    "is_at_hand",
    "is_known",
    "kernel",
    "pointer",
    "some",
    "stay_apart",
    "view",
    "zeros",
]

NUMBERS = translation.PointerKind(np.dtype(np.float64))
MANY_NUMBERS = translation.PointerKind(translation.MANY)
INTEGERS = translation.PointerKind(np.dtype(np.int64))

_Function = TypeVar("_Function", bound=Callable[..., Any])
_lock = threading.Lock()
_compiled: dict[Any, int] = {}
_wanted: dict[Any, bool] = {}


# -- functions that kernels consist of -----------------------------------------------------------------------------


def inner(function: _Function) -> _Function:
    """A function that kernels call, and Python where it uses none of the functions below."""
    return function


def inlined(function: _Function) -> _Function:
    """The same, which becomes part of its callers: where the call would cost more than what is done."""
    function.inlined = True  # type: ignore[attr-defined]
    return function


def _of_kernels(function: _Function) -> _Function:
    """A function that `translation` knows by its name."""
    function.of_kernels = True  # type: ignore[attr-defined]
    return function


@_of_kernels
def view(pointer, shape):
    """The array of a shape at a pointer."""


@_of_kernels
def pointer(array):
    """The pointer to the data of an array: what is reached by it costs less to compile, and to run in short loops."""


@_of_kernels
def beyond(pointer, k):
    """The pointer to what lies k elements beyond."""


@_of_kernels
def stay_apart():
    """Within a function: it is called, not copied into its callers, whose compilation it would slow down.

    Where shapes are known (see `Image`) it may be: loops become the few lines that they are then.
    """


@_of_kernels
def call(address, arguments):
    """The integer that the function at an address returns; of arrays it gets the pointer to their data."""


@_of_kernels
def combine(z, rows, table, width, length, out):
    """out[:length] = Σ z[r] table[r · width : r · width + length], many numbers at a time.

    All are pointers. Some numbers beyond `length` are read and written: `width`, and the room in out, are multiples of
    `LANES`.
    """


@_of_kernels
def abreast(array):
    """The array whose elements are the last axis of another, `ABREAST` numbers that are worked on together."""


@_of_kernels
def some(truth):
    """Whether something is true of one number or of some that are abreast."""


@_of_kernels
def every(truth):
    """Whether something is true of one number or of all that are abreast."""


# A scalar program (see `scalar`), by its address


@_of_kernels
def at_row(address, x, c, k):
    """g(x; c[k]) and its first and second derivative by x; c is float64[rows, C]."""


@_of_kernels
def by_row(address, x, c, k, out):
    """Fill out[i] with the derivatives of (g, g', g'') by c[k, i], float64[C, 3 or more]."""


@_of_kernels
def at_pair(address, x, first, second):
    """g(x; first, second) and its first and second derivative by x."""


# -- arguments in memory -------------------------------------------------------------------------------------------


class Image:
    """Named tuples in memory, one after another, as a function finds them that takes a pointer to the first.

    Parameters
    ----------
    *values : NamedTuple
        Of the same form: arrays in C order, integers, floats, None, and such tuples. They are kept alive; their arrays
        must stay where they are.

    Attributes
    ----------
    form : tuple
        What they are made of; equal ones are of the same form.
    address : int
    """

    def __init__(self, *values: Any) -> None:
        self._values = values
        self._places: dict[str, int] = {}
        numbers: list[int] = []
        forms = []
        for value in values:
            parts = []
            for name, part in zip(value._fields, value, strict=True):
                self._places.setdefault(name, len(numbers))
                parts.append(_lay_out(part, numbers))
            forms.append((type(value), tuple(parts)))
        self.form = forms[0]
        assert all(form == forms[0] for form in forms)
        self._numbers = np.array(numbers, dtype=np.int64)
        self.address = address(self._numbers)

    def again(self) -> Image:
        """Another of the same form, with the same arrays to begin with."""
        other = copy(self)
        other._numbers = self._numbers.copy()
        other.address = address(other._numbers)
        return other

    def with_shapes(self, loose: Collection[str] = ()) -> Image:
        """The same in memory; what is compiled for it knows the shapes of all arrays: quicker, for such shapes only.

        Parameters
        ----------
        loose : set of str
            Names of arrays whose first length it does not know all the same.
        """
        other = copy(self)
        other.form = _known(self._values[0], self.form, loose)
        return other

    def put(self, **values: NDArray[Any] | int) -> None:
        """Exchange numbers of the first tuple, or arrays for others of the same form, which the caller keeps."""
        numbers, places = self._numbers, self._places
        for name, value in values.items():
            numbers[places[name]] = value if isinstance(value, int) else address(value)

    def places(self, names: Collection[str]) -> NDArray[np.int64]:
        """Where the addresses of some arrays of the first tuple are, for `put_at`."""
        return np.array([self._places[name] for name in names], dtype=np.int64)

    def put_at(self, places: NDArray[np.int64], addresses: NDArray[np.int64]) -> None:
        """Exchange arrays, by their addresses, for others of the same form, which the caller keeps."""
        self._numbers[places] = addresses


def zeros(**shapes: int | tuple[int, ...]) -> dict[str, Any]:
    """Arrays of zeros, by name."""
    return {name: np.zeros(shape) for name, shape in shapes.items()}


def address(array: NDArray[Any]) -> int:
    """Where the data of an array are."""
    try:
        return ctypes.addressof(_BYTE(array))  # type: ignore[arg-type]  # the quick way
    except (TypeError, ValueError):  # it is empty, or not to be written to
        return int(array.__array_interface__["data"][0])


_BYTE = ctypes.c_char.from_buffer


def _known(value: Any, form: Any, loose: Collection[str]) -> Any:
    """The form of a named tuple, with the shapes of its arrays instead of their dimensions."""
    parts = []
    for name, part, of in zip(value._fields, value, form[1], strict=True):
        if isinstance(part, np.ndarray):
            shape = (None, *part.shape[1:]) if name in loose else part.shape
            parts.append((of[0], shape))
        else:
            parts.append(_known(part, of, loose) if isinstance(part, tuple) else of)
    return form[0], tuple(parts)


def _lay_out(value: Any, numbers: list[int]) -> Any:
    """Append the numbers of 8 bytes that a value is in memory; what it is made of."""
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous:
            raise ValueError("Kernels take arrays in C order.")
        numbers += (address(value), *value.shape)
        return value.dtype, value.ndim
    if value is None:
        numbers.append(0)
        return None
    if isinstance(value, float):
        numbers.append(int(np.float64(value).view(np.int64)))
        return float
    if isinstance(value, tuple):
        return type(value), tuple([_lay_out(part, numbers) for part in value])
    numbers.append(int(value))
    return int


# -- machine code --------------------------------------------------------------------------------------------------


def address_of(function: Callable[..., Any], images: Sequence[Image], *others: Any) -> int:
    """Where the machine code of a function of a module is, compiled for these arguments, or from disk.

    Parameters
    ----------
    function : callable
        Takes pointers to the images, then the others; returns an integer or nothing.
    images : sequence of Image
        What differs in its form is compiled anew.
    *others : kinds
        NUMBERS, INTEGERS, INT, FLOAT.
    """
    return _address_of(function, _kinds(images, others), False)


def is_at_hand(function: Callable[..., Any], images: Sequence[Image], *others: Any) -> bool:
    """Whether `address_of` need not compile anything."""
    key = function, _kinds(images, others), False
    if key in _compiled:
        return True
    if key not in _wanted:  # asked of the disk once
        _wanted[key] = is_kept(function.__name__, *_kept_by(*key))
    return _wanted[key]


def _kinds(images: Sequence[Image], others: Sequence[Any]) -> tuple[Any, ...]:
    return (*[translation.PointerKind(image.form) for image in images], *others)


def _kept_by(function: Callable[..., Any], kinds: tuple[Any, ...], packed: bool) -> tuple[Path, str]:
    """The folder in which its code is kept, and what that depends on."""
    file = function.__code__.co_filename
    return object_folder(file), f"{hashlib.sha256(source(file)).hexdigest()} {kinds!r} {packed}"


def _address_of(function: Callable[..., Any], kinds: tuple[Any, ...], packed: bool) -> int:
    key = function, kinds, packed
    found = _compiled.get(key)
    if found is None:

        def text(name: str) -> str:
            return translation.Translation().entry(function, kinds, name, packed)

        with _lock, compiling():
            found = _compiled.get(key)
            if found is None:
                found = address_of_text(function.__name__, *_kept_by(*key), text)
                _compiled[key] = found
    return found


def is_known(function: Callable[..., Any]) -> bool:
    """Whether a function is compiled, for whatever arguments."""
    return any(key[0] is function for key in _compiled)


def callable_of(address: int, arguments: int) -> Callable[..., Any]:
    """A function of so many addresses and integers for Python, which returns an integer; it releases the GIL."""
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * arguments)(address)


class Kernel:
    """A function of a module that Python calls with arrays, numbers and tuples of them, and kernels as they are.

    It returns an integer, or nothing (0).
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.__doc__, self.__name__ = function, function.__doc__, function.__name__
        self._known: dict[Any, tuple[Callable[[bytes], int], Callable[..., bytes]]] = {}

    def __call__(self, *given: Any) -> int:
        """Call it; arrays that are not in C order are copied there and back."""
        form: list[Any] = []
        numbers: list[Any] = []
        copies: list[tuple[NDArray[Any], NDArray[Any]]] = []
        for value in given:
            if type(value) is np.ndarray and value.flags.c_contiguous:  # mostly, and this is called often
                form += (value.dtype, value.ndim)
                numbers += (address(value), *value.shape)
            else:
                _pass_on(value, form, numbers, copies)
        key = tuple(form)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._compiled(given)
        call, packed = found
        result = call(packed(*numbers))
        for value, handed in copies:
            if value.flags.writeable:
                value[...] = handed
        return result

    def _compiled(self, given: Sequence[Any]) -> tuple[Callable[[bytes], int], Callable[..., bytes]]:
        kinds = tuple([_kind_of(value) for value in given])
        address = _address_of(self.function, kinds, True)
        letters = ["d" if number == FLOAT else "q" for kind in kinds for number in translation.flat(kind)]
        return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p)(address), struct.Struct("".join(letters)).pack


kernel = Kernel


def _kind_of(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return translation.ArrayKind(value.dtype, value.ndim)
    if isinstance(value, tuple):
        return translation.TupleKind(tuple([_kind_of(part) for part in value]), getattr(value, "_fields", ()))
    return translation.KnownKind(None) if value is None else FLOAT if isinstance(value, float) else INT


def _pass_on(value: Any, form: list[Any], numbers: list[Any], copies: list[Any]) -> None:
    """Append what tells the kind of a value, and the numbers that it is made of."""
    if isinstance(value, np.ndarray):
        form += (value.dtype, value.ndim)
        if not value.flags.c_contiguous:
            copies.append((value, np.ascontiguousarray(value)))
            value = copies[-1][1]
        numbers.append(address(value))
        numbers += value.shape
    elif isinstance(value, tuple):
        form += (type(value), len(value))
        for part in value:
            _pass_on(part, form, numbers, copies)
    elif value is None:
        form.append(None)
    else:
        form.append(isinstance(value, float))
        numbers.append(value)
