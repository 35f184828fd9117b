"""The structural library: names, printing, refusing, and the same models as ODEs."""

import functools
import itertools
import math
import re

import numpy as np
import pint
import pytest
from scipy.linalg import expm

import workbench as wb
from workbench.errors import ModelError
from workbench.model.library.differential import written
from workbench.model.library.pk import PK, pk
from workbench.model.library.pkpd import PKPD, pkpd

ABSORPTIONS = (None, "first-order", "zero-order", "parallel", "transit")
ELIMINATIONS = ("linear", "michaelis-menten", "parallel")
PARAMETERS = ("clearance", "rate", "macro", "half-life")
LAGS = (False, True, "first-order", "zero-order", "both")
RESPONSES = ("linear", "emax", "sigmoid emax", "imax", "sigmoid imax")
LINKS = ("direct", "effect compartment", "inhibit input", "inhibit output", "stimulate input", "stimulate output")


def goes_together(compartments, absorption, elimination, parameters, lag):
    return not (
        (compartments == 3 and parameters == "half-life")
        or (elimination != "linear" and parameters in ("macro", "half-life"))
        or (isinstance(lag, str) and absorption != "parallel")
    )


CHOICES = list(itertools.product((1, 2, 3), ABSORPTIONS, ELIMINATIONS, PARAMETERS, LAGS))
LIBRARY = [
    pk(*choice, bioavailability=bioavailability, transits=3 if choice[1] == "transit" else None)
    for choice in CHOICES
    if goes_together(*choice)
    for bioavailability in (False, True)
]
EFFECTS = []
for link, response, base in itertools.product(
    LINKS, RESPONSES, (pk(), pk(2, "first-order", lag=True), pk(3, "parallel", "parallel", "rate", lag="both"))
):
    try:
        EFFECTS.append(pkpd(base, response, link))
    except ModelError:
        assert link not in ("direct", "effect compartment")
EFFECTS = list(dict.fromkeys(EFFECTS))
ALL = [*LIBRARY, *EFFECTS]
each_family = pytest.mark.parametrize(
    "structures",
    [[s for s in LIBRARY if s.absorption == absorption] for absorption in ABSORPTIONS] + [EFFECTS],
    ids=[*map(str, ABSORPTIONS), "effects"],
)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("structure", "names"),
    [
        (pk(), "CL V"),
        (pk(1, "first-order"), "ka CL V"),
        (pk(2), "CL V1 Q V2"),
        (pk(3), "CL V1 Q2 V2 Q3 V3"),
        (pk(1, parameters="rate"), "k V"),
        (pk(2, parameters="rate"), "k V1 k12 k21"),
        (pk(3, parameters="rate"), "k V1 k12 k21 k13 k31"),
        (pk(1, parameters="macro"), "A alpha"),
        (pk(2, parameters="macro"), "A alpha B beta"),
        (pk(3, parameters="macro"), "A alpha B beta C gamma"),
        (pk(1, parameters="half-life"), "V t_half"),
        (pk(2, parameters="half-life"), "A t_half_alpha B t_half_beta"),
        (pk(1, "zero-order", lag=True, bioavailability=True), "Tk0 CL V lag F"),
        (pk(1, "parallel", lag="both", bioavailability=True), "Fr ka Tk0 CL V lag lag0 F"),
        (pk(1, "parallel", lag="zero-order"), "Fr ka Tk0 CL V lag"),
        (pk(2, "transit", transits=4), "mtt ka CL V1 Q V2"),
        (pk(1, elimination="michaelis-menten"), "Vm Km V"),
        (pk(2, elimination="michaelis-menten", parameters="rate"), "Vm Km V1 k12 k21"),
        (pk(2, "first-order", elimination="parallel", lag=True), "ka CL V1 Q V2 Vm Km lag"),
        (pkpd(pk()), "CL V E0 Emax EC50"),
        (pkpd(pk(), "linear"), "CL V E0 slope"),
        (pkpd(pk(), "sigmoid emax", "effect compartment"), "CL V ke0 E0 Emax EC50 gamma"),
        (pkpd(pk(), "imax"), "CL V E0 Imax IC50"),
        (pkpd(pk(), link="inhibit output"), "CL V kin kout Imax IC50"),
        (pkpd(pk(1, "first-order", lag=True), "sigmoid emax", "stimulate input"),
         "ka CL V lag kin kout Emax EC50 gamma"),
    ],
    ids=repr,
)  # fmt: skip
def test_names(structure, names):
    assert structure.names == tuple(names.split())


@each_family
def test_every_parameter_is_described(structures):
    for structure in structures:
        assert tuple(info.name for info in structure.info) == structure.names
        assert len(set(structure.names)) == len(structure.names)
        for info in structure.info:
            assert info.meaning
            assert info.transform == ("logit" if info.dimension == "fraction" else "log")
            assert info.range is None or 0 < info.range[0] < info.range[1]
            assert info.dimension != "fraction" or info.range[1] < 1
        assert structure.columns == () and structure.needs_dose
        effect = ("effect",) if isinstance(structure, PKPD) else ()
        assert structure.responses == ("concentration", *effect)


def test_closed_forms():
    assert pk(3, "parallel", parameters="macro", lag="both", bioavailability=True).is_linear
    assert not pk(elimination="parallel").is_linear
    assert not pk(absorption="transit", transits=1).is_linear


def test_doses_go_where_cmt_says():
    assert pk(2).dosing == ("central", "peripheral")
    assert pk(3, "first-order").dosing == ("depot", "central", "peripheral 1", "peripheral 2")
    assert pkpd(pk(1, "transit", transits=2)).dosing == ("transit chain", "central")


@pytest.mark.parametrize(
    ("structure", "title"),
    [
        (pk(), "1-compartment, intravenous bolus or infusion"),
        (pk(1, "first-order"), "1-compartment, first-order absorption"),
        (pk(2, "first-order", "michaelis-menten", lag=True),
         "2-compartment, first-order absorption with lag, Michaelis-Menten elimination"),
        (pk(1, "transit", transits=1), "1-compartment, absorption through 1 transit compartment"),
        (pk(3, "parallel", "parallel", lag="both", bioavailability=True),
         "3-compartment, parallel first- and zero-order absorption with two lags and bioavailability, "
         "linear and Michaelis-Menten elimination"),
        (pkpd(pk(), link="inhibit input"),
         "1-compartment, intravenous bolus or infusion; indirect response I (inhibits input, Imax)"),
    ],
    ids=repr,
)  # fmt: skip
def test_title(structure, title):
    assert structure.title == title


# -- printing and refusing ---------------------------------------------------------------------------------------------


@each_family
def test_prints_as_the_python_that_makes_it(structures):
    for structure in structures:
        again = eval(repr(structure), {"wb": wb})
        assert again == structure and hash(again) == hash(structure)


def test_prints_only_what_differs():
    assert repr(wb.pk()) == "wb.pk(compartments=1)"
    assert repr(wb.pk(1, "first-order")) == 'wb.pk(compartments=1, absorption="first-order")'
    assert repr(wb.pk(2, lag=True, parameters="rate")) == 'wb.pk(compartments=2, parameters="rate", lag=True)'
    assert repr(pkpd(pk(), link="inhibit input")) == (
        'wb.pkpd(wb.pk(compartments=1), response="imax", link="inhibit input")'
    )
    assert wb.pk(np.int64(2)) == wb.pk(2)


def test_every_combination_is_made_or_refused_in_words():
    for choice in CHOICES:
        transits = 3 if choice[1] == "transit" else None
        if goes_together(*choice):
            assert isinstance(pk(*choice, transits=transits), PK)
            continue
        with pytest.raises(ModelError, match=r"^pk\(.*=.*\): .* [Ww]rite "):
            pk(*choice, transits=transits)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"compartments": 4}, "allowed are 1, 2, 3"),
        ({"compartments": True}, "allowed are 1, 2, 3"),
        ({"compartments": 1.0}, "allowed are 1, 2, 3"),
        ({"absorption": "oral"}, "allowed are None, 'first-order', "),
        ({"absorption": ["first-order"]}, "allowed are None"),
        ({"elimination": "rate"}, 'write parameters="rate"'),
        ({"elimination": None}, "allowed are 'linear', "),
        ({"parameters": "CL"}, "allowed are 'clearance', "),
        ({"lag": 1}, "allowed are False, True, "),
        ({"lag": "both", "absorption": "first-order"}, "Write lag=True"),
        ({"bioavailability": 0.5}, "allowed are False and True"),
        ({"transits": 3}, "Leave transits out"),
        ({"absorption": "transit"}, "a whole number from 1 to 50"),
        ({"absorption": "transit", "transits": 0}, "write transits=3"),
        ({"absorption": "transit", "transits": 2.5}, "write transits=3"),
        ({"absorption": "transit", "transits": 51}, "from 1 to 50"),
        ({"compartments": 3, "parameters": "half-life"}, 'write parameters="macro"'),
        ({"elimination": "parallel", "parameters": "macro"}, 'write parameters="clearance" or "rate"'),
    ],
    ids=str,
)
def test_refuses(arguments, words):
    with pytest.raises(ModelError, match=re.escape(words)):
        pk(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("one",), "a compartment model such as wb.pk()"),
        ((pk(), "hill"), "allowed are 'linear', 'emax'"),
        ((pk(), "emax", "turnover"), "allowed are 'direct', "),
        ((pk(), "linear", "inhibit input"), 'allowed with this link is response="imax" or "sigmoid imax"'),
        ((pk(), "imax", "stimulate input"), 'allowed with this link is response="emax" or "sigmoid emax"'),
        ((pk(3, parameters="macro"), "sigmoid emax"), "both parts have a parameter gamma"),
    ],
    ids=str,
)
def test_pkpd_refuses(arguments, words):
    with pytest.raises(ModelError, match=re.escape(words)):
        pkpd(*arguments)


# -- the ODE -----------------------------------------------------------------------------------------------------------

FUNCTIONS = {
    "log": np.log, "sqrt": lambda x: x**0.5, "expit": lambda x: 1 / (1 + np.exp(-x)),
    "where": lambda condition, a, b: a if condition else b,
}  # fmt: skip
NAME = re.compile(r"[A-Za-z_]\w*")


@functools.cache
def units():
    registry = pint.UnitRegistry()
    registry.define("score = [score]")
    return registry


def states_of(ode):
    return [line.split()[1] for line in ode.lines if line.startswith("d/dt ")]


def rates(structure, values, amounts):
    """Derivatives of all states, and the responses, by reading the text of the ODE as Python."""
    ode = written(structure.kinetics)
    space = {**FUNCTIONS, **values, **amounts}
    change = {}
    for line in ode.lines:
        name, expression = line.split(" = ")
        if name.startswith("d/dt "):
            change[name.removeprefix("d/dt ")] = expression
        elif not name.endswith("(0)"):
            space[name] = eval(expression, {}, space)
    with np.errstate(divide="ignore", invalid="ignore"):  # both branches of where(…) are computed here
        return (
            {name: eval(expression, {}, space) for name, expression in change.items()},
            {name: eval(expression, {}, space) for name, expression in ode.response.items()},
        )


def jacobian(structure, values):
    """Of a linear model: d(rates)/d(states)."""
    states = states_of(written(structure.kinetics))
    columns = [rates(structure, values, {s: float(s == state) for s in states})[0] for state in states]
    return states, np.array([[column[state] for column in columns] for state in states])


def some_values(structure, seed=1):
    random = np.random.default_rng(seed)
    return {info.name: float(random.uniform(*(info.range or (1.0, 5.0)))) for info in structure.info}


@each_family
def test_the_ode_uses_every_parameter_and_nothing_unknown(structures):
    for structure in structures:
        ode = written(structure.kinetics)
        assert ode.text == structure.ode_text()
        states = states_of(ode)
        defined = {line.split(" = ")[0] for line in ode.lines if not line.startswith("d/dt") and "(0)" not in line}
        expressions = [line.split(" = ")[1] for line in ode.lines] + list(ode.response.values())
        expressions += [*ode.lag.values(), *ode.bioavailability.values(), *ode.duration.values()]
        used = {name for expression in expressions for name in NAME.findall(expression)}
        assert set(structure.names) <= used
        assert used <= {*structure.names, *states, *defined, *FUNCTIONS}
        assert not {*states, *defined} & {*structure.names}
        assert defined <= used
        targets = [state for entry in (ode.dose or {}).values() for state in entry]
        assert {*targets, *ode.lag, *ode.bioavailability, *ode.duration} <= set(states)
        base = structure.pk if isinstance(structure, PKPD) else structure
        assert len(ode.dose or states) == len(structure.dosing)
        assert (ode.dose or {}).get(2 if base.absorption else 1, ["central"]) == ["central"]
        for name in base.kinetics.peripherals:
            assert name in states


@each_family
def test_the_ode_has_the_right_dimensions(structures):
    for structure in structures:
        unit = units()
        dimension = {
            "clearance": unit.L / unit.h, "volume": unit.L, "rate constant": 1 / unit.h, "time": unit.h,
            "fraction": unit.dimensionless, "number": unit.dimensionless, "amount per time": unit.mg / unit.h,
            "concentration": unit.mg / unit.L, "per volume": 1 / unit.L, "effect": unit.score,
        }  # fmt: skip
        unknown = {"kin": unit.score / unit.h, "slope": unit.score * unit.L / unit.mg}
        values = {
            info.name: unit.Quantity(value, unknown.get(info.name) or dimension[info.dimension])
            for info, value in zip(structure.info, some_values(structure).values(), strict=True)
        }
        states = states_of(written(structure.kinetics))
        kind = {"effect": unit.score, "site": unit.mg / unit.L}
        amounts = {state: unit.Quantity(2.0, kind.get(state, unit.mg)) for state in states}
        change, responses = rates(structure, values, amounts)
        for state, rate in change.items():
            assert rate.check(kind.get(state, unit.mg) / unit.h), f"{state}: {rate.units}"
        assert responses["concentration"].check(unit.mg / unit.L)
        assert "effect" not in responses or responses["effect"].check(unit.score)
        ode = written(structure.kinetics)
        stated = ((ode.lag, unit.h), (ode.duration, unit.h), (ode.bioavailability, unit.dimensionless))
        for expressions, expected in stated:
            for expression in expressions.values():
                assert eval(expression, {}, values).check(expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_macro_constants_are_what_a_unit_bolus_gives(compartments, seed):
    structure = pk(compartments, parameters="macro")
    values = some_values(structure, seed)
    states, M = jacobian(structure, values)
    unit = np.array([float(state == "central") for state in states])
    for t in (0.0, 0.3, 2.0, 11.0):
        amounts = dict(zip(states, expm(M * t) @ unit, strict=True))
        expected = sum(
            values[size] * math.exp(-values[rate] * t)
            for size, rate in (("A", "alpha"), ("B", "beta"), ("C", "gamma"))[:compartments]
        )
        assert rates(structure, values, amounts)[1]["concentration"] == pytest.approx(expected, rel=1e-9)


def test_half_lives_are_macro_constants_and_rates_are_clearances():
    by_rate = pk(2, parameters="macro")
    by_half_life = pk(2, parameters="half-life")
    values = {"A": 0.1, "B": 0.03, "t_half_alpha": 0.4, "t_half_beta": 9.0}
    other = {"A": 0.1, "B": 0.03, "alpha": math.log(2) / 0.4, "beta": math.log(2) / 9.0}
    np.testing.assert_allclose(jacobian(by_half_life, values)[1], jacobian(by_rate, other)[1], rtol=1e-12)
    values = {"ka": 1.0, "CL": 3.0, "V1": 10.0, "Q2": 4.0, "V2": 20.0, "Q3": 1.0, "V3": 50.0}
    other = {"ka": 1.0, "k": 0.3, "V1": 10.0, "k12": 0.4, "k21": 0.2, "k13": 0.1, "k31": 0.02}
    np.testing.assert_allclose(
        jacobian(pk(3, "first-order"), values)[1],
        jacobian(pk(3, "first-order", parameters="rate"), other)[1],
        rtol=1e-12,
    )


@each_family
def test_saturable_elimination(structures):
    for structure in (s for s in structures if isinstance(s, PK) and s.elimination != "linear"):
        values = some_values(structure)
        amounts = dict.fromkeys(states_of(written(structure.kinetics)), 0.0) | {"central": 30.0}
        change, responses = rates(structure, values, amounts)
        c = responses["concentration"]
        loss = values["Vm"] * c / (values["Km"] + c)
        loss += 30.0 * values["k"] if "k" in values else values.get("CL", 0.0) * c
        assert sum(change.values()) == pytest.approx(-loss, rel=1e-12)


@pytest.mark.parametrize("elimination", ELIMINATIONS)
@pytest.mark.parametrize("absorption", ["zero-order", "parallel"])
def test_what_came_in_at_zero_order_is_counted_apart_and_all_the_same(absorption, elimination):
    structure, plain = pk(2, absorption, elimination), pk(2, elimination=elimination)
    values = some_values(structure)
    change, responses = rates(structure, values, {"depot": 0.0, "central": 20.0, "absorbed": 35.0, "peripheral": 7.0})
    expected, other = rates(plain, values, {"central": 55.0, "peripheral": 7.0})
    assert change["central"] + change["absorbed"] == pytest.approx(expected["central"], rel=1e-12)
    assert change["peripheral"] == pytest.approx(expected["peripheral"], rel=1e-12)
    assert responses["concentration"] == pytest.approx(other["concentration"], rel=1e-12)


@pytest.mark.parametrize("transits", [1, 2, 7])
def test_the_mean_transit_time_is_the_mean_time_to_the_depot(transits):
    structure = pk(1, "transit", transits=transits)
    states, M = jacobian(structure, some_values(structure) | {"mtt": 1.7})
    chain = [i for i, state in enumerate(states) if state.startswith("transit")]
    assert len(chain) == transits + 1
    stay = -np.linalg.inv(M[np.ix_(chain, chain)])
    assert stay[:, 0].sum() == pytest.approx(1.7)


@pytest.mark.parametrize("link", LINKS[2:])
def test_indirect_response_starts_at_its_baseline_and_moves_the_right_way(link):
    structure = pkpd(pk(), link=link)
    values = some_values(structure)
    ode = written(structure.kinetics)
    assert "effect(0) = kin/kout" in ode.lines
    baseline = values["kin"] / values["kout"]
    still, responses = rates(structure, values, {"central": 0.0, "effect": baseline})
    assert still["effect"] == pytest.approx(0.0, abs=1e-12) and responses["effect"] == baseline
    change = rates(structure, values, {"central": 50.0, "effect": baseline})[0]["effect"]
    assert (change > 0) == (link in ("inhibit output", "stimulate input")) and change != 0


def test_a_sigmoid_effect_is_a_hill_curve_and_nothing_without_drug():
    structure = pkpd(pk(), "sigmoid emax", "effect compartment")
    values = {"CL": 1.0, "V": 10.0, "ke0": 0.5, "E0": 2.0, "Emax": 8.0, "EC50": 3.0, "gamma": 2.5}
    for site in (0.0, -1e-12, 0.2, 3.0, 40.0):
        effect = rates(structure, values, {"central": 5.0, "site": site})[1]["effect"]
        assert effect == pytest.approx(2.0 + (8.0 * site**2.5 / (3.0**2.5 + site**2.5) if site > 0 else 0.0), rel=1e-12)


def test_inputs_of_parallel_absorption():
    ode = written(pk(1, "parallel", lag="both", bioavailability=True).kinetics)
    assert ode.dose == {1: ["depot", "absorbed"], 2: ["central"]}
    assert ode.lag == {"depot": "lag", "absorbed": "lag0"}
    assert ode.bioavailability == {"depot": "F*Fr", "absorbed": "F*(1 - Fr)"}
    assert ode.duration == {"absorbed": "Tk0"}
    assert written(pk(1, "parallel", lag=True).kinetics).lag == {"depot": "lag", "absorbed": "lag"}
    assert written(pk(1, "parallel", lag="first-order").kinetics).lag == {"depot": "lag"}
    assert written(pk(1, "parallel", lag="zero-order").kinetics).lag == {"absorbed": "lag"}
    assert written(pk(2, lag=True, bioavailability=True).kinetics).lag == {"central": "lag"}


@each_family
def test_the_ode_is_one_that_can_be_stated(structures):
    for structure in structures:
        ode = structure.as_ode()
        assert ode.names == structure.names
        assert ode.responses == structure.responses


def test_inputs_say_how_doses_enter():
    assert [entry.target for entry in pk(1, "parallel").kinetics.inputs] == ["depot", "central"]
    assert pk(1, "zero-order").kinetics.inputs[0].duration == "Tk0"
