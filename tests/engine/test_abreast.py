"""Kernels that work on several numbers at a time: exp, log and what is done with each of them."""

import math

import numpy as np
import pytest

from workbench.engine.predictions.machine import abreast, every, kernel, some


@kernel
def _exponentials(x, out):
    numbers, filled = abreast(x), abreast(out)
    for k in range(x.shape[0]):
        filled[k] = math.exp(numbers[k])


@kernel
def _logarithms(x, out):
    numbers, filled = abreast(x), abreast(out)
    for k in range(x.shape[0]):
        filled[k] = math.log(numbers[k])


@kernel
def _all_sorts(x, out):
    numbers, filled = abreast(x), abreast(out)
    for k in range(x.shape[0]):
        a = numbers[k]
        small = abs(a) < 1.0
        filled[k] = -a if not small else max(a, 0.25) ** 2
        if some(small):
            filled[k] += 10.0
        if every(small):
            filled[k] += 100.0
        filled[k] += math.erfc(a) if math.isfinite(a) else 1.0
        if some(a == 7.0) and not every(0.0 <= a < 8.0):
            filled[k] = math.sqrt(a) - 2 / a


def together(function, numbers):
    x = np.resize(numbers, (-(-len(numbers) // 8), 8)).astype(float)
    out = np.empty_like(x)
    function(x, out)
    return x.ravel(), out.ravel()


EDGES = [
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    math.nan,
    5e-324,
    1e-310,
    1.0,
    np.nextafter(1, 0),
    1.7976931348623157e308,
    -1.0,
]


@pytest.mark.parametrize("function", ["exp", "log"])
def test_within_a_unit_in_the_last_place(function):
    rng = np.random.default_rng(1)
    if function == "exp":
        close = [709.782712893384, 709.7827128933841, 710.0, 1e300, -745.1332191019411, -745.14, -1e300, -708.5]
        numbers = np.concatenate([rng.uniform(-746, 711, 50_000), rng.uniform(-1, 1, 50_000), close, EDGES])
        x, found = together(_exponentials, numbers)
    else:
        close = [2.0, 0.5, math.sqrt(0.5), math.sqrt(2.0), 2.2250738585072014e-308]
        near = 1.0 + 1e-3 * rng.standard_normal(50_000)
        numbers = np.concatenate([np.exp(rng.uniform(-744, 709, 50_000)), near, close, EDGES])
        x, found = together(_logarithms, numbers)
    with np.errstate(all="ignore"):
        wanted = getattr(np, function)(x)
        exact = np.isnan(wanted) | np.isinf(wanted) | (wanted == 0.0)
        assert np.array_equal(found[exact], wanted[exact], equal_nan=True)
        assert (np.abs(found - wanted)[~exact] <= 2.0 * np.spacing(np.abs(wanted[~exact]))).all()


def test_each_number_as_if_it_were_alone():
    rows = np.array([np.linspace(-0.9, 0.9, 8), np.linspace(-4, 4, 8), [2.0, 3, 4, 5, 6, 7, 2, np.nan], [np.inf] * 8])
    x, found = together(_all_sorts, rows.ravel())
    for numbers, got in zip(x.reshape(-1, 8), found.reshape(-1, 8), strict=True):
        small = np.abs(numbers) < 1.0
        wanted = np.where(~small, -numbers, np.maximum(numbers, 0.25) ** 2) + 10.0 * small.any() + 100.0 * small.all()
        wanted += [math.erfc(a) if math.isfinite(a) else 1.0 for a in numbers]
        if (numbers == 7.0).any():
            wanted = np.sqrt(numbers) - 2.0 / numbers
        assert got == pytest.approx(wanted, rel=1e-15, nan_ok=True)
