"""A model as a function of nlmixr2, in R, with its data."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.data import GroupedData
from workbench.exchange.outline import Theta
from workbench.exchange.table import csv_of, table_of
from workbench.exchange.tongues import RXODE, Code, number
from workbench.exchange.writing import Writer, changing_parts, place_of, plain, save, stated, word_of
from workbench.language.reading import read_expression
from workbench.language.tree import Expression, Name
from workbench.model import (
    Combined,
    Combined2,
    Constant,
    Exponential,
    Model,
    Power,
    Proportional,
    ResidualError,
)
from workbench.model.kinetics import Differential, Explicit
from workbench.results import FitResult

if TYPE_CHECKING:
    import pandas as pd

_METHODS = {"fo": "fo", "foce": "foce", "focei": "focei", "laplace": "laplace", "saem": "saem"}
_TAKEN = frozenset(
    re.findall(
        r"\w+",
        """
    if else repeat while function for next break true false null inf nan na in t f pi time podo tlast tad tafd
    dose amt rate dur cmt evid id ii ss addl dv mdv dvid cens limit occ newind ini model label lincmt
    output exp log sqrt abs sin cos tan tanh erf phi expit logit min max alag lag fix tad0
        """,
    )
)
_OF_LINCMT = re.compile(r"cl|k\w*|v\w*|q\w*|alpha|beta|gamma|[abc]|aob|tlag|alag", re.IGNORECASE)
_NAMES = {
    1: {"CL": "cl", "V": "v"},
    2: {"CL": "cl", "V1": "v", "Q": "q", "V2": "vp"},
    3: {"CL": "cl", "V1": "v", "Q2": "q", "V2": "vp", "Q3": "q2", "V3": "vp2"},
}
_RATES = ("k", "k12", "k21", "k13", "k31")
_ERRORS: Mapping[type[ResidualError], tuple[str, Mapping[str, str]]] = {
    Constant: ("add({a})", {"a": "add.sd"}),
    Proportional: ("prop({b})", {"b": "prop.sd"}),
    Combined: ("add({a}) + prop({b}) + combined1()", {"a": "add.sd", "b": "prop.sd"}),
    Combined2: ("add({a}) + prop({b}) + combined2()", {"a": "add.sd", "b": "prop.sd"}),
    Power: ("pow({b}, {c})", {"b": "pow.sd", "c": "pow.exp"}),
    Exponential: ("lnorm({a})", {"a": "lnorm.sd"}),
}


def write_nlmixr2(
    fit_or_model: FitResult | Model,
    path: str | os.PathLike[str],
    data: GroupedData | None = None,
    method: str | None = None,
) -> Path:
    """Write a script of R that fits the model with nlmixr2, and its data beside it.

    Compartment models with a closed form become ``linCmt()``, others and differential equations ``d/dt()``.
    Typical values of log-normal parameters stand as their logarithms, as nlmixr2's SAEM wants them. The data hold the
    records as nlmixr2 reads them: CENS and LIMIT for what is censored, OCC for occasions.

    Parameters
    ----------
    fit_or_model : FitResult or Model
        A fit is written with its estimates, a model with its initial values, all of which it must state.
    path : path
        The script, as "run1.R"; ".R" is put to a name without it. The data are the same name with ".csv".
    data : GroupedData, optional
        Needed for a model; of a fit, its own if not given.
    method : {"fo", "foce", "focei", "laplace", "saem"}, optional
        For a model; of a fit, its own if not given.

    Returns
    -------
    Path
        The script.

    Raises
    ------
    ModelError
        If there is something that nlmixr2 cannot say; all of it is named.
    FileError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> model = wb.Model(
    ...     wb.pk(absorption="first-order"),
    ...     [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 2.8, iiv=0.3), wb.Parameter("V", 32)],
    ...     error=wb.Combined2(0.5, 0.1),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     script = wb.write_nlmixr2(model, folder + "/run1", wb.load_example("theophylline"))
    ...     print([line for line in script.read_text().splitlines() if "add(" in line])
    ['    cp ~ add(add.sd) + prop(prop.sd) + combined2()']
    """
    model, data, method = stated(fit_or_model, data, method, "write_nlmixr2")
    place = place_of(path, (".R", ".r"))
    script, table = _Script(model, data, method, place.with_suffix(".csv").name).written()
    save({place.with_suffix(".csv"): table, place: script})
    return place


class _Script(Writer):
    """A script in the making."""

    tool = "nlmixr2"
    tongue = RXODE
    remark = "#"
    methods = _METHODS
    depth = 2
    transformed = True

    def __init__(self, model: Model, data: GroupedData, method: str, name: str):
        super().__init__(model, data, method, name)
        self.taken |= _TAKEN
        for column in model.columns:
            self.columns[column] = self.fresh(column)
        self.names: dict[str, str] = {}
        self.states: dict[str, str] = {}
        if self.closed is not None:
            kinetics = self.structure.kinetics
            assert kinetics is not None
            self.taken |= {"depot", "central", "peripheral1", "peripheral2"}
            rates = {kinetics.volume: "v", **{name: name for name in _RATES}}
            self.names = {"ka": "ka", **(_NAMES[self.closed.size] if kinetics.written_in == "clearance" else rates)}
        elif isinstance(self.system, Differential):
            self.states = {state: self.fresh(state) for state in self.system.states}
        self.thetas = {theta.name: self._theta(theta) for theta in self.outline.thetas}
        self.effects: dict[str, str] = {}
        for group in self.outline.groups:
            kind, word = ("eta", "eta") if group.level == "subject" else ("kappa", "iov")
            for effect in group.names:
                self.effects[f"{kind} {effect}"] = self.numbered(f"{word}.{word_of(effect)}")
            if group.level == "occasion" and len(group.names) > 1:
                self.cannot.append(f"correlations between occasions ({', '.join(group.names)})")
        for error in self.model.errors:
            if type(error) not in _ERRORS:
                self.cannot.append(f"the residual error {type(error).__name__}")
        self.refuse()

    def _theta(self, theta: Theta) -> str:
        of_parameter = theta.name in self.structure.names
        return self.numbered(f"tv.{word_of(theta.name)}") if of_parameter else self.fresh(theta.name)

    def fresh(self, word: str) -> str:
        """A name that R can have and nothing has yet."""
        name = word_of(word)
        of_closed = self.closed is not None and _OF_LINCMT.fullmatch(name)
        return self.numbered(f"{name}_x" if of_closed or name.casefold() in self.taken else name)

    def named(self, kind: str, rest: str) -> str:
        """A theta or a random effect."""
        return self.thetas[rest] if kind == "theta" else self.effects[f"{kind} {rest}"]

    # -- the script ----------------------------------------------------------------------------------------------------

    def written(self) -> tuple[str, str]:
        """Script and data."""
        code = self.code()
        self._parameters(code)
        if self.closed is not None:
            outputs = self._closed(code)
        elif isinstance(self.system, Differential):
            outputs = self._differential(code, self.system)
        else:
            assert isinstance(self.system, Explicit)
            outputs = self._equations(code, self.system)
        names = self._responses(code, outputs)
        function = re.sub(r"\W", "_", word_of(Path(self.name).stem))
        lines = [
            *self.remarks(self.title), *self.comments(responses=False),
            "library(nlmixr2)", "", f"{function} <- function() {{",
            "  ini({", *(f"    {line}" for line in self._initial()), "  })",
            "  model({", *code.lines, "  })", "}", "",
            f"data <- read.csv({_quoted(self.name)}, na.strings = \".\")",
            f"fit <- nlmixr2({function}, data, est = \"{_METHODS[self.method]}\"{self._control()})",
            "print(fit)",
        ]  # fmt: skip
        return "\n".join(lines) + "\n", csv_of(self._table(names))

    def _control(self) -> str:
        kinds = self.data.covariates
        if not any(bool(kinds["varies"].get(column, False)) for column in self.columns):
            return ""
        # a value counts up to its record, from the one before
        inner = 'rxControl = rxode2::rxControl(covsInterpolation = "nocb")'
        return f", control = {_METHODS[self.method]}Control({inner})"

    def _table(self, names: list[str]) -> pd.DataFrame:
        routes, timed, uses = self.doses()
        frame = table_of(
            self.data, self.columns, routes, timed, [False] * len(self.model.errors),
            leaves_out_censored=self.model.blq == "M1", uses=uses,
        )  # fmt: skip
        frame = frame.rename(columns={"dose": "DOSE", "tad": "TAD"})
        several = len(names) > 1
        states = list(self.states.values())
        if several:
            into = frame["CMT"].to_numpy() if "CMT" in frame else np.zeros(len(frame), dtype=int)
            said = [states[c - 1] if c > 0 else names[r - 1] for c, r in zip(into, frame["DVID"], strict=True)]
            frame = frame.drop(columns="DVID").assign(CMT=said)
        elif "CMT" in frame:
            observed = self.closed.central if self.closed is not None else 1
            frame["CMT"] = frame["CMT"].where(frame["CMT"] > 0, observed)
        return frame

    def _parameters(self, code: Code) -> None:
        for name in self.structure.names:
            if name in self.names:
                self.taken.add(self.names[name].casefold())
        for name in self.structure.names:
            spelled = self.names.get(name) or self.fresh(name)
            code.state(spelled, self.outline.parameters[name])
            self.known[name] = spelled

    def _closed(self, code: Code) -> dict[str, Expression]:
        closed, kinetics = self.closed, self.structure.kinetics
        assert closed is not None and kinetics is not None
        if kinetics.written_in != "clearance":
            for name, text in kinetics.relations.items():
                self.known[name] = self.names.get(name) or self.fresh(name)
                code.state(self.known[name], read_expression(text, name)[1])
        (entry,) = kinetics.inputs
        target = "depot" if closed.depot else "central"
        for form, given in (
            ("f({0})", entry.bioavailability), ("alag({0})", entry.lag), ("dur({0})", entry.duration)
        ):  # fmt: skip
            if given:
                code.line(f"{form.format(target)} <- {self.known[given]}")
        return {self.structure.responses[0]: Name("lincmt", 0)}

    def _equations(self, code: Code, system: Explicit) -> dict[str, Expression]:
        self.known |= {"t": "time", "dose": "DOSE", "tad": "TAD", **{c: self.columns[c] for c in system.columns}}
        for name, tree in system.definitions.items():
            self.known[name] = self.fresh(name)
            code.state(self.known[name], tree)
        return dict(system.outputs)

    def _differential(self, code: Code, system: Differential) -> dict[str, Expression]:
        self.known |= {"t": "t", **self.states, **{c: self.columns[c] for c in system.columns}}
        constants, moving = changing_parts(system)
        for name, tree in (constants | moving).items():
            self.known[name] = self.fresh(name)
            code.state(self.known[name], tree)
        for state, tree in system.rates.items():
            code.state(f"d/dt({self.states[state]})", tree)
        for table, form in (
            (system.initial, "{0}(0)"), (system.bioavailability, "f({0})"), (system.lag, "alag({0})"),
            (system.duration, "dur({0})"),
        ):  # fmt: skip
            for state, tree in table.items():
                code.state(form.format(self.states[state]), tree)
        return dict(system.outputs)

    def _responses(self, code: Code, outputs: Mapping[str, Expression]) -> list[str]:
        """A line of each response with its error; the names of the responses."""
        several = len(outputs) > 1
        names = []
        self.of_errors: dict[str, str] = {}
        for i, ((response, tree), error) in enumerate(zip(outputs.items(), self.model.errors, strict=True)):
            floor = error.counts_zero_as
            if self.closed is not None:
                name = self.numbered("cp")
                code.line(f"{name} <- linCmt()")
            elif isinstance(tree, Name) and tree.name in self.states and floor is None:
                name = self.states[tree.name]
            else:
                name = self.fresh(response)
                code.state(name, tree)
            if floor is not None:
                code.line(f"if ({name} <= 0) {{")
                code.line(f"  {name} <- {number(floor)}")
                code.line("}")
            form, words = _ERRORS[type(error)]
            if error.data_are_logarithms:
                log_name = self.numbered(f"log_{name}")
                code.line(f"{log_name} <- log({name})")
                name, form, words = log_name, *_ERRORS[Constant]
            ending = f".{word_of(response)}" if several else ""
            spelled = {parameter: self.numbered(f"{word}{ending}") for parameter, word in words.items()}
            self.of_errors |= {f"{i} {parameter}": word for parameter, word in spelled.items()}
            code.line(f"{name} ~ {form.format(**spelled)}{f' | {name}' if several else ''}")
            names.append(name)
        return names

    def _initial(self) -> list[str]:
        """Lines of ini()."""
        lines = []
        for theta in self.outline.thetas:
            value = _bounded(theta)
            about = f"log of {theta.about}" if theta.logarithm else theta.about
            lines.append(f"{self.thetas[theta.name]} <- {value}; label({_quoted(about)})")
        for key, label, deviation, fixed in self.errors():
            value = f"fix({number(deviation)})" if fixed else f"c(0, {number(deviation)})"
            lines.append(f"{self.of_errors[key]} <- {value}; label({_quoted(f'error {label}')})")
        for group in self.outline.groups:
            kind, at = ("eta", "") if group.level == "subject" else ("kappa", " | OCC")
            names = " + ".join(self.effects[f"{kind} {name}"] for name in group.names)
            lower = [float(f"{v:.15g}") for i, row in enumerate(group.matrix) for v in row[: i + 1]]
            values = ", ".join(map(number, lower))
            if group.fixed:
                values = f"fix({values})"
            elif len(lower) > 1:
                values = f"c({values})"
            lines.append(f"{names} ~ {values}{at}")
        return lines


def _bounded(theta: Theta) -> str:
    """Bounds and value of a theta, its logarithms where those stand in the model."""

    def spelled(value: float) -> str:
        if math.isinf(value) or (theta.logarithm and value == 0):
            return "-Inf" if value <= 0 else "Inf"
        return f"log({number(value)})" if theta.logarithm else number(value)

    value, lower, upper = map(spelled, (theta.value, theta.lower, theta.upper))
    if theta.fixed:
        return f"fix({value})"
    if upper != "Inf":
        return f"c({lower}, {value}, {upper})"
    return value if lower == "-Inf" else f"c({lower}, {value})"


def _quoted(text: str) -> str:
    """A string of R."""
    return '"' + plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
