"""Equations as text: what is understood, what is refused and where the message points, whatever comes in."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import ModelError
from workbench.language.reading import LONGEST_TEXT, latex, read_expression
from workbench.language.tree import FUNCTIONS, evaluate
from workbench.model.equation import Equation
from workbench.model.ode import Ode


def value(text, **values):
    return evaluate(read_expression(text, "The text")[1], values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2*3", 7),
        ("(1 + 2)*3", 9),
        ("2 - 3 - 4", -5),
        ("12/3/2", 2),
        ("-2^2", -4),
        ("2^-1", 0.5),
        ("2^3^2", 512),
        ("2**3", 8),
        ("--3", 3),
        ("2*-3", -6),
        ("6 × 2 ÷ 3 · 2 − 1", 7),
        (".5 + 5. + 1e-1 + 2E+1", 25.6),
        ("where(1 < 2, 3, 4) + where(1 ≥ 2, 30, 40)", 43),
        ("min(3, 1, 2) + max(3, 1)", 4),
        ("exp(1) + log(2) + sqrt(9) + abs(-2)", math.e + math.log(2) + 5),
        ("sin(pi/2) + cos(0) + tan(0) + tanh(0)", 2),
        ("expit(0) + logit(0.5) + phi(0) + erf(0)", 1),
        ("(1 +\n 2) # and a comment", 3),
    ],
)
def test_numbers(text, expected):
    assert value(text) == pytest.approx(expected, rel=1e-14)


def test_names_of_all_kinds():
    names = (
        "lambda",
        "E",
        "I",
        "S",
        "N",
        "Q",
        "beta",
        "zoo",
        "α",
        "Cmax_1",
        "import",
        "self",
        "np",
        "x0",
        "v1",
        "order",
    )
    structure = wb.equation(" + ".join(f"{name}*t" for name in names))
    assert structure.names == names


def test_operators_bind_as_in_mathematics():
    assert value("a - b*c^2/-d", a=1.0, b=2.0, c=3.0, d=4.0) == 1 + 2 * 9 / 4


@pytest.mark.parametrize(
    ("text", "what", "column"),
    [
        ("Asym[1]", "'[' is not allowed", 4),
        ("a.b", "'.' is not allowed", 1),
        ("a = 'x'", '"\'" is not allowed', 4),
        ("lambda: 1", "':' is not allowed", 6),
        ("a\\b", "is not allowed", 1),
        ("x²", "not allowed in a name", 1),
        ("a\x00b", "U+0000", 1),
        ("__import__(os)", "no function __import__", 0),
        ("ln(x)", "log is the natural logarithm", 0),
        ("exq(x)", "did you mean exp", 0),
        ("2 x", "operator is missing", 2),
        ("(a)(b)", "operator is missing", 3),
        ("a +", "found the end", 3),
        ("*a", "found '*'", 0),
        ("(a + b", "never closed", 0),
        ("a + b)", "not expected", 5),
        ("a < b", "stands only in where", 2),
        ("where(a, b, c)", "needs a comparison", 6),
        ("where(a < b < c, b, c)", "one comparison", 12),
        ("exp + 1", "needs an argument", 0),
        ("exp()", "found ')'", 4),
        ("exp(a, b)", "takes 1 argument, got 2", 0),
        ("min(a)", "takes 2 or more", 0),
        ("a,b", "not expected", 1),
        ("1/0", "no value", 1),
        ("log(-1)", "no value", 0),
        ("a/(1 - 1)", "divides by 0", 1),
        ("10^10^10", "exponent", 5),
        ("x^(99 + 2)", "exponent", 3),
        ("1e999", "too large", 0),
        ("99^99*99^99", "too large", 5),
        ("sqrt = 2; a", "function already", 0),
        ("t = 2; t", "is the time", 0),
        ("a = 1; a = 2; a", "given twice", 7),
        ("a = b; b = a; a", "defined by itself", 0),
        ("a; b", "only the last", 0),
        ("a = b; c", "used for nothing", 0),
        ("d/dt A = 1", "wb.ode", 5),
        ("f(x) = 1", "no function f", 0),
        ("a == 1", "stands only in where", 2),
        ("a + 1 = b", "no such statement", 6),
    ],
)
def test_the_message_points_at_the_character(text, what, column):
    with pytest.raises(ModelError) as raised:
        wb.equation(text)
    message = str(raised.value)
    assert what in message
    lines = message.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip() == "^")
    assert lines[at].index("^") - 4 == column


def test_the_message_names_the_line():
    with pytest.raises(ModelError, match=r"line 3.*\n    c = a \$ b\n          \^"):
        wb.equation("a = k*t\n\nc = a $ b\nc")


def test_a_long_line_is_shown_around_the_character():
    with pytest.raises(ModelError) as raised:
        wb.equation("a + " * 300 + "$")
    shown, pointer = str(raised.value).splitlines()[1:3]
    assert len(shown) <= 104
    assert shown[pointer.index("^")] == "$"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "x" + ")" * 10_000,
        "-" * 19_000 + "x",
        "x" + "^x" * 9_000,
        "x" + "+x" * 9_000,
        "x" + "*x" * 9_000,
        "exp(" * 4_000 + "x" + ")" * 4_000,
        "9" * 19_000,
        "x" * (LONGEST_TEXT + 1),
        "; ".join(["a0 = t", *(f"a{i} = a{i - 1}*a{i - 1}" for i in range(1, 60)), "a59"]),
        "; ".join([*(f"a{i} = a{i + 1}" for i in range(400)), "a400 = t", "a0"]),
    ],
)
def test_nothing_is_too_large_to_be_refused(text):
    with pytest.raises(ModelError) as raised:
        structure = wb.equation(text)
        raise ModelError(f"understood: {structure.names}")  # long sums are fine
    assert len(str(raised.value)) < 2000


@pytest.mark.parametrize("text", [None, 3, "", "  \n", "# nothing", b"a", ["a"]])
def test_what_is_no_text(text):
    with pytest.raises(ModelError):
        wb.equation(text)
    with pytest.raises(ModelError):
        wb.ode(text)


WORDS = ("dose", "lambda", "d", "dt", "dA", "2.5", "1e3", "pi", "**", "==", "d/dt A = ", "A(0) = ", "where(")
PIECES = st.sampled_from([*FUNCTIONS, *WORDS, *"abtEAC012+-*/^(),=<>;#·²' \n"])
ANY = st.one_of(
    st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join), st.lists(PIECES, max_size=25).map(" ".join)
)


@given(ANY)
@example("d/dt A = (")
@example("a = \n= b")
def test_any_text_makes_a_structure_or_a_model_error(text):
    """Never another exception; and what is made prints itself, shows itself, and can be pickled."""
    for make, kind in ((wb.equation, Equation), (lambda text: wb.ode(text, response="A"), Ode)):
        try:
            made = make(text)
        except ModelError as error:
            assert str(error)
            continue
        assert isinstance(made, kind)
        again = eval(repr(made), {"wb": wb})
        assert again == made == pickle.loads(pickle.dumps(made))
        assert hash(again) == hash(made)
        assert made.equations()
        assert made.title
        assert len(made.info) == len(made.names)
        assert not {"t", "dose", "tad", *FUNCTIONS} & set(made.names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/(b + c)", r"\frac{a}{b + c}"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("-k*t", r"-k\,t"),
        ("a*(b + c)^2", r"a\,\left(b + c\right)^{2}"),
        ("exp(-k*t)", r"e^{-k\,t}"),
        ("sqrt(x) + abs(y)", r"\sqrt{x} + \left|y\right|"),
        ("log(x)*1.5e-3", r"\ln\left(x\right) \cdot 1.5 \cdot 10^{-3}"),
        ("where(t < 5, a, b)", r"\begin{cases} a & \text{if } t < 5 \\ b & \text{otherwise} \end{cases}"),
        ("pi*r^2", r"\pi\,r^{2}"),
    ],
)
def test_latex(text, expected):
    assert latex(read_expression(text, "The text")[1]) == expected


# -- equations -----------------------------------------------------------------------------------------------------


def test_an_equation():
    structure = wb.equation("k = CL/V\nConc = dose/V*exp(-k*tad)  # mg/L")
    assert structure.names == ("CL", "V")
    assert structure.responses == ("Conc",)
    assert structure.needs_dose
    assert structure.columns == ()
    assert structure.diagram() is None
    assert structure.equations()[0] == r"k = \frac{\mathit{CL}}{V}"
    assert not wb.equation("a*t").needs_dose
    assert wb.equation("a*t").responses == ("response",)


def test_names_in_order_of_first_appearance():
    assert wb.equation("y = z*w\nx = b + c*y\na*x + w").names == ("z", "w", "b", "c", "a")


def test_covariates_and_several_responses():
    structure = wb.equation(
        "k = CL*WT/V", covariates=["WT", "DOSE"], responses={"c": "DOSE/V*exp(-k*t)", "e": "E0 + k"}
    )
    assert structure.names == ("CL", "V", "E0")
    assert structure.columns == ("WT", "DOSE")
    assert structure.responses == ("c", "e")
    assert eval(repr(structure), {"wb": wb}) == structure
    assert wb.equation("a*WT", "WT").columns == ("WT",)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("a*t", ["WT"]), "does not use"),
        (("WT = 3; a*WT", ["WT"]), "is a covariate"),
        (("a*WT", ["WT", "WT"]), "different names"),
        (("a*WT", [3]), "different names"),
        (("a = b; c", (), {"x": "a"}), "used for nothing"),
        (("a = b", (), {"x": "a +"}), "The response x"),
    ],
)
def test_equations_that_make_no_sense(arguments, what):
    with pytest.raises(ModelError, match=what):
        wb.equation(*arguments)


# -- differential equations ----------------------------------------------------------------------------------------

PARENT = "d/dt D = -ka*D\ndA/dt = ka*D - CL/V*A\nC = A/V"


def test_differential_equations():
    structure = wb.ode(PARENT)
    assert structure.states == ("D", "A")
    assert structure.names == ("ka", "CL", "V")
    assert structure.responses == ("C",)
    assert structure.system.dosing == ((0,), (1,))
    assert structure.needs_dose
    assert structure.diagram() is None
    assert r"\frac{d\,D}{dt} = -k_a\,D" in structure.equations()
    assert wb.ode("d/dt(A) = kin - kout*A; A(0) = kin/kout", "A").needs_dose is False
    assert wb.ode("d/dt A = kin - kout*A", "A").needs_dose is False
    assert wb.ode("d/dt A = -k*A", "A/V").responses == ("response",)


def test_doses_and_what_becomes_of_them():
    structure = wb.ode(
        PARENT, dose={1: ["D", "A"], 3: "A"}, lag={"D": "lag"}, bioavailability={"D": "Fr", "A": "1 - Fr"},
        duration={"A": "Tk0"}, stiff=True, rtol=1e-9, parameters=["Fr", "Tk0", "lag", "ka", "CL", "V"],
    )  # fmt: skip
    assert structure.system.dosing == ((0, 1), (), (1,))
    assert structure.names == ("Fr", "Tk0", "lag", "ka", "CL", "V")
    assert eval(repr(structure), {"wb": wb}) == structure
    assert hash(eval(repr(structure), {"wb": wb})) == hash(structure)


@pytest.mark.parametrize(
    ("text", "more", "what"),
    [
        ("k = 3", {}, "no differential equation"),
        ("d/dt A = -k*A; B(0) = 3", {"response": "A"}, "no d/dt B"),
        ("d/dt A = -k*A; A(0) = 1; A(0) = 2", {"response": "A"}, "given twice"),
        ("d/dt A = -k*A; dA/dt = 1", {"response": "A"}, "given twice"),
        ("d/dt A = -k*A; A = 3", {"response": "A"}, "is a state"),
        ("d/dt A = -k*A", {}, "depends on no state"),
        ("d/dt A = -k*A", {"response": "k + 1"}, "depends on no state"),
        ("d/dt A = -k*A", {"response": {}}, "response="),
        ("d/dt A = -k*A", {"response": "A", "dose": "B"}, "no state"),
        ("d/dt A = -k*A", {"response": "A", "dose": {0: "A"}}, "dose="),
        ("d/dt A = -k*A", {"response": "A", "dose": {1: ["A", "A"]}}, "different names"),
        ("d/dt A = -k*A", {"response": "A", "lag": {"B": "lag"}}, "no state"),
        ("d/dt A = -k*A", {"response": "A", "lag": {"A": "A"}}, "parameters and covariates"),
        ("d/dt A = -k*A", {"response": "A", "lag": {"A": "2*t"}}, "parameters and covariates"),
        ("d/dt A = -k*A; k = a*t; A(0) = k", {"response": "A"}, "parameters and covariates"),
        ("d/dt A = -k*A", {"response": "A", "lag": "lag"}, "dict"),
        ("d/dt A = -k*A; x = 3", {"response": "A"}, "used for nothing"),
        ("d/dt A = -k*A; A", {"response": "A"}, "no use here"),
        ("d/dt t = 1", {"response": "t"}, "is the time"),
        ("d/dt exp = 1", {"response": "exp"}, "function already"),
        ("d/dt = 1", {"response": "A"}, "name of a state"),
        ("d/dt A -k*A", {"response": "A"}, "'=' is needed"),
        ("d/dt (A = -k*A", {"response": "A"}, "not closed"),
        ("d/dt A = -k*A", {"response": "A", "covariates": "A"}, "is a covariate"),
        ("d/dt A = -k*A", {"response": "A", "covariates": "WT"}, "does not use"),
        ("d/dt A = -k*A", {"response": "A", "rtol": 1.0}, "allowed is"),
        ("d/dt A = -k*A", {"response": "A", "rtol": "x"}, "finite number"),
        ("d/dt A = -k*A", {"response": "A", "stiff": "yes"}, "stiff="),
        ("d/dt A = -k*A", {"response": "A", "parameters": ["q"]}, "the parameters are k"),
        ("; ".join(f"d/dt A{i} = -k" for i in range(101)), {"response": "A1"}, "at most 100"),
    ],
)
def test_differential_equations_that_make_no_sense(text, more, what):
    with pytest.raises(ModelError, match=what):
        wb.ode(text, **more)
