"""Kernels compute what the same lines do as Python; what is not known in translation is refused, and said where."""

import math
from collections import deque
from typing import NamedTuple

import numpy as np
import pytest

import workbench as wb
from workbench.engine.objectives import subjects
from workbench.engine.objectives.objective import Objective
from workbench.engine.predictions import translation
from workbench.engine.predictions.machine import Image, address_of, callable_of, inlined, inner, kernel
from workbench.engine.predictions.predictor import Predictor
from workbench.engine.predictions.translation import NotTranslated, Translation
from workbench.engine.problem.compile import compile
from workbench.methods import method_of

LIMIT = 3
TABLE = np.array([[1.0, 2.0], [3.0, 4.0]])
RECORDS = np.dtype([("place", np.int64), ("amount", np.float64)])


@inner
def _halves(n, x):
    if n // 2 > LIMIT:
        return n // 2, x / 2
    return n % 3, 0.0


@inlined
def _sign(x):
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


@inner
def _optional(x, factor):
    return x if factor is None else x * factor


def _all_sorts(x, numbers, records, out):
    total = count = 0
    for k in range(x.shape[0]):
        if x[k] != x[k] or (k > 4 and numbers[k - 1] == 7):
            continue
        if x[k] > 50.0:
            break
        total += x[k]  # begins as an integer
        count += 1
    out[0], out[1] = total, count
    steps = 0
    while True:
        steps += 2
        if steps >= 7 or not steps < 100:
            break
    out[2] = steps
    for k in range(5, -1, -2):
        out[3] += k * TABLE[1, k % 2]
    n, half = _halves(numbers[0], x[0])
    out[4], out[5] = n, half
    rows = out[6:12].reshape(3, 2)
    rows[:] = 0.25
    row = rows[1]
    row[1] += _sign(-x[0])
    rows[-1, 0] = len(x)
    for step, weight in ((1.0, 8.0), (2.0, -1.0)):
        out[12] += weight * step**2
    item = records[1]
    item.place += 3
    records[0] = records[1]
    item.amount = max(x[0], numbers[1], 2.5)
    out[13] = records[0].place + records[1].amount
    pair = (x[0], x[1])
    for k in range(2):
        out[14] += (k + 1) * pair[k]
    room = np.zeros((2, 2))
    room[1, 1] = abs(-4)
    out[15] = room[1, 1] + room[0, 0] + math.floor(-1.5) + math.ceil(1.2)
    out[16] = _optional(x[0], None) + _optional(x[0], 2.0)
    out[17] = math.exp(0.3) + math.log(2.0) + math.erfc(0.4) + 2.5**0.3 + math.expm1(1e-9) + math.tanh(0.2)
    out[18] = 1.0 if 0.0 < x[0] <= 10.0 and numbers[0] in (4, 9) else 0.0
    out[19] = 1.0 if math.isfinite(x[2]) or math.isnan(x[0]) else -7 // 2 + (-7) % 3
    out[20:22], out[22:] = out[4], 1.5
    a, b = 1, 2
    a, b = b, a
    out[20] += 10 * a + b


machine_code = kernel(_all_sorts)


def sample():
    x = np.array([1.5, 2.0, np.nan, 4.0, 5.0, 6.0, 99.0, 1.0])
    records = np.array([(1, 0.5), (2, 0.75)], dtype=RECORDS)
    return x, np.array([9, 1, 2, 3, 4, 7, 6, 8]), records, np.zeros(24)


def test_machine_code_does_what_python_does():
    x, numbers, records, wanted = sample()
    _all_sorts(x, numbers, records.view(np.recarray), wanted)
    again, found = sample()[2:]
    machine_code(x, numbers, again, found)
    assert found.tobytes() == wanted.tobytes()
    assert again.tobytes() == records.tobytes()


def test_numbers_tuples_and_arrays_of_any_order_are_passed():
    @kernel
    def add(pair, factor, flag, nothing, out):
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] += factor * pair.a[i, j] * pair.b + (1 if flag else 0) + (0 if nothing is None else 100)
        return out.shape[0]

    a, out = np.arange(6.0).reshape(3, 2), np.zeros((2, 3)).T
    assert add(Pair(a, 2), 0.5, True, None, out) == 3
    assert (out == a + 1.0).all()


class Pair(NamedTuple):
    a: np.ndarray
    b: int


class Outer(NamedTuple):
    scale: float
    inside: Pair
    none: None


def _from_memory(p, k):
    total = 0
    pair = p[k].inside
    for i in range(pair.a.shape[0]):
        total += pair.a[i] * pair.b
    return total if p.none is None and p.scale == 0.5 else -1


def test_what_is_in_memory_is_read_by_its_names():
    images = Image(Outer(0.5, Pair(np.array([1, 2]), 3), None), Outer(0.5, Pair(np.array([5, 6]), 1), None))
    call = callable_of(address_of(_from_memory, [images], translation.INT), 2)
    assert [call(images.address, k) for k in (0, 1)] == [9, 11]


def _text(x):
    return x + "a"


def _float_among_integers(x):
    x[0] = 0.5


def _both(x):
    return x if x[0] else 1


def _looping(x):
    for value in x:
        x[0] = value


def _with(x):
    with x:
        pass


@pytest.mark.parametrize("function", [_text, _float_among_integers, _both, _looping, _with])
def test_what_is_not_known_is_refused_with_its_place(function):
    kind = translation.ArrayKind(np.dtype(np.int64), 1)
    with pytest.raises(NotTranslated) as told:
        Translation().entry(function, [kind], "f", False)
    line = function.__code__.co_firstlineno
    name, where = told.value.args[1].split(", line ")
    assert name == function.__name__ and line < int(where) <= line + 2


@pytest.mark.parametrize("approximation", ["focei", "foce"])
def test_code_that_knows_shapes_computes_the_same_bits(approximation, monkeypatch):
    data = wb.load_example("theophylline")
    model = wb.initial_values(wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2()), data)

    monkeypatch.setattr(
        Predictor, "kept", lambda predictor, form: deque()
    )  # or the second works in the room of the first
    monkeypatch.setattr(subjects, "_MOST_KNOWN", 0)

    def evaluated(many):
        monkeypatch.setattr(subjects, "_MANY", many)
        problem = compile(model, data)
        objective = Objective(problem, method_of(approximation).approximation)
        assert translation._knows_shapes(objective._modes._new_room().room.form) is (many == 0)
        return objective.evaluate(problem.x)

    general, known = evaluated(500), evaluated(0)
    assert general.by_subject.tobytes() == known.by_subject.tobytes()
    assert general.scores.tobytes() == known.scores.tobytes()


@pytest.mark.parametrize(("general", "known", "other", "chosen"), [
    (True, False, True, False), (True, True, True, True), (False, False, False, True), (False, False, True, False),
])  # fmt: skip
def test_few_subjects_get_code_that_knows_shapes_where_that_costs_nothing(general, known, other, chosen, monkeypatch):
    """Compiled are: that for all shapes, that for these, that for other ones."""
    data = wb.load_example("theophylline")
    problem = compile(wb.initial_values(wb.Model(wb.pk(absorption="first-order")), data), data)
    at_hand = {False: general, True: known}

    def is_at_hand(function, images, *others):
        return at_hand[translation._knows_shapes(images[1].form)]

    monkeypatch.setattr(subjects, "is_at_hand", is_at_hand)
    monkeypatch.setattr(subjects, "is_known", lambda function: other)
    assert translation._knows_shapes(Objective(problem)._modes._new_room().room.form) is chosen
    with subjects.wanting_code_of_their_own():
        assert translation._knows_shapes(Objective(problem)._modes._new_room().room.form)
