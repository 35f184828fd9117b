"""Speed of what follows a fit. Run on request: pytest tests/benchmarks/test_simulation_speed.py --benchmark-only"""

import pytest

import workbench as wb

ORAL = wb.pk(absorption="first-order")
VALUES = [wb.Parameter("CL", 0.15, iiv=0.07**0.5), wb.Parameter("V", 8.0, iiv=0.02**0.5),
          wb.Parameter("ka", 1.0, iiv=0.6**0.5)]  # fmt: skip
WARFARIN = wb.Model(ORAL, VALUES, error=wb.Proportional(0.1))
DESIGN = wb.Design(wb.Regimen(70), times=[0.5, 1, 2, 6, 24, 36, 72, 120], subjects=32)


@pytest.fixture(scope="module")
def fit():
    parameters = [wb.Parameter(name, iiv=True) for name in ("ka", "CL", "V")]
    return wb.fit(wb.Model(ORAL, parameters, error=wb.Combined2()), wb.load_example("theophylline"))


def test_a_thousand_people_under_a_regimen(benchmark, fit):
    """What a slider of the Simulate panel asks for."""
    design = wb.Design(wb.Regimen(4, every=12, times=4), times=[h / 2 for h in range(97)])
    benchmark(lambda: wb.simulate(fit, design, 1000, seed=1))


def test_an_individual(benchmark, fit):
    patient = wb.load_example("theophylline").filter("ID == 3 and (TIME < 1 or TIME > 20)")
    benchmark(lambda: wb.individualise(fit, patient))


def test_information(benchmark):
    benchmark(lambda: wb.information(WARFARIN, DESIGN))


def test_better_times(benchmark):
    benchmark(lambda: wb.optimise(DESIGN, WARFARIN))
