"""A model as a project of Monolix: mlxtran, its structural model, and data."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.data import GroupedData
from workbench.exchange.outline import Group, codes_of, covariate_columns, total
from workbench.exchange.table import csv_of, table_of
from workbench.exchange.tongues import MLXTRAN, Code, number
from workbench.exchange.writing import Closed, Writer, changing_parts, place_of, save, stated, word_of
from workbench.language.formula import category_of, columns_of, tree_of
from workbench.language.reading import read_expression
from workbench.language.tree import Apply, Expression, Name, Number, names_in, nodes, with_nodes
from workbench.methods import METHODS
from workbench.model import Combined, Combined2, Constant, Exponential, Model, Parameter, Proportional, ResidualError
from workbench.model.kinetics import Differential, Explicit
from workbench.results import FitResult

if TYPE_CHECKING:
    import pandas as pd

_TAKEN = frozenset(
    re.findall(
        r"\w+",
        """
    t id time evid amt adm rate ii addl ss dv mdv dvid occ cens limit pk equation output input definition if else
    elseif end pi exp log ln sqrt abs sin cos tan tanh erf normcdf invlogit logit min max floor pkmodel depot iv
    absorption elimination peripheral compartment oral empty reset odetype stiff tdose amtdose inftdose tad dose y
    distribution typical sd covariate coefficient varlevel correlation level prediction errormodel use regressor
    normal lognormal logitnormal probitnormal constant proportional combined1 combined2
        """,
    )
)
_ERRORS: Mapping[type[ResidualError], str] = {
    Constant: "constant({a})",
    Proportional: "proportional({b})",
    Combined: "combined1({a}, {b})",
    Combined2: "combined2({a}, {b})",
    Exponential: "constant({a})",
}
_USES = {
    "ID": "identifier", "TIME": "time", "EVID": "eventidentifier", "AMT": "amount", "CMT": "administration",
    "RATE": "rate", "II": "interdoseinterval", "ADDL": "additionaldose", "MDV": "missingdependentvariable",
    "DVID": "observationtype", "OCC": "occasion", "CENS": "censored", "LIMIT": "limit",
}  # fmt: skip
_STEADY = 20  # doses that stand for a steady state


def write_mlxtran(
    fit_or_model: FitResult | Model,
    path: str | os.PathLike[str],
    data: GroupedData | None = None,
    method: str | None = None,
) -> Path:
    """Write a project for Monolix, its structural model and its data beside it.

    A parameter that is normal after a transform of Monolix's, with covariates that stay as they are within a subject,
    is an individual parameter there; any other is computed in the structural model from parts that are. Monolix
    estimates by SAEM, whatever the method here.

    Parameters
    ----------
    fit_or_model : FitResult or Model
        A fit is written with its estimates, a model with its initial values, all of which it must state.
    path : path
        The project, as "run1.mlxtran"; that ending is put to a name without it. The structural model, "run1_model.txt",
        and the data, "run1.csv", stand beside it.
    data : GroupedData, optional
        Needed for a model; of a fit, its own if not given.
    method : str, optional
        For the call's sake; it is in a comment.

    Returns
    -------
    Path
        The project.

    Raises
    ------
    ModelError
        If there is something that Monolix cannot say; all of it is named.
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
    ...     project = wb.write_mlxtran(model, folder + "/run1", wb.load_example("theophylline"))
    ...     print([line for line in project.read_text().splitlines() if line.startswith("CL =")])
    ['CL = {distribution=logNormal, typical=CL_pop, sd=omega_CL}']
    """
    model, data, method = stated(fit_or_model, data, method, "write_mlxtran")
    place = place_of(path, (".mlxtran",))
    texts = _Project(model, data, method, place.stem).written()
    structural = place.with_name(f"{place.stem}_model.txt")
    save({place.with_suffix(".csv"): texts[2], structural: texts[1], place: texts[0]})
    return place


@dataclass
class _Individual:
    """An individual parameter of Monolix's: its distribution, and the population parameters that it needs."""

    name: str
    distribution: str
    typical: str
    value: float
    fixed: bool
    covariates: list[tuple[str, str, list[str]]] = field(default_factory=list)  # covariate, coefficient, its names


class _Project(Writer):
    """A project in the making."""

    tool = "Monolix"
    tongue = MLXTRAN
    remark = ";"
    methods = dict.fromkeys(METHODS, "SAEM")
    depth = 0

    def __init__(self, model: Model, data: GroupedData, method: str, name: str):
        super().__init__(model, data, method, name)
        self.taken |= _TAKEN
        self.kinds = data.covariates
        self.native = self._natives()
        self.covariates: dict[str, str] = {}
        self.regressors: dict[str, str] = {}
        self.values: list[tuple[str, float, bool]] = []  # population parameters
        self.individuals: list[_Individual] = []
        self.made: dict[str, tuple[str, str]] = {}  # covariates that are computed: key, name and text
        self.categories: dict[str, tuple[str, ...]] = {}
        self.states: dict[str, str] = {}
        self._check()
        self.refuse()

    def closed_form(self) -> Closed | None:
        """Nothing for doses into peripheral compartments."""
        found = super().closed_form()
        return None if found is None or any(c > found.central for c in self.cmts) else found

    def fresh(self, word: str) -> str:
        """A name that nothing has yet."""
        name = word_of(word)
        return self.numbered(f"{name}_x" if name.casefold() in _TAKEN else name)

    def named(self, kind: str, rest: str) -> str:
        """The individual parameter that a theta or a random effect is."""
        return self.known[f"{kind} {rest}"]

    # -- which parameters are individual parameters --------------------------------------------------------------------

    def _natives(self) -> set[str]:
        """Parameters that are a distribution of Monolix's."""
        shared = {p.share[0] for p in self.model.parameters if p.share is not None}
        return {p.name for p in self.model.parameters if p.name not in shared and self._is_native(p)}

    def _is_native(self, p: Parameter) -> bool:
        if p.column is not None or p.share is not None or self._distribution(p) is None:
            return False
        seen: set[str] = set()
        for effect in p.covariates:
            columns = columns_of(effect.term)
            if effect.fractional or seen & set(columns) or any(self.kinds["varies"].get(c, True) for c in columns):
                return False
            category = category_of(tree_of(effect.term))
            if category is None and any(codes_of(self.data, c) for c in columns):
                return False
            parts = nodes(tree_of(effect.term))
            if category is None and any(isinstance(part, Apply) and part.function in _CONDITIONS for part in parts):
                return False
            if category is not None:
                seen |= set(columns)
        return True

    @staticmethod
    def _distribution(p: Parameter) -> str | None:
        link = p.link
        if link.is_logarithm:
            return "logNormal"
        if link.is_identity:
            return "normal"
        if link.name == "logit":
            low, high = p.between
            return "logitNormal" if (low, high) == (0, 1) else f"logitNormal, min={number(low)}, max={number(high)}"
        if link.name == "probit" and p.between == (0, 1):
            return "probitNormal"
        return None

    def _check(self) -> None:
        for error in self.model.errors:
            if type(error) not in _ERRORS:
                self.cannot.append(f"the residual error {type(error).__name__}")
            elif error.counts_zero_as is not None and not error.data_are_logarithms:
                self.cannot.append("a prediction of 0 that counts as something else (floor)")
        if "'" in self.name:
            self.cannot.append(f"the name {self.name!r}, as it has an apostrophe")
        used = set(self.model.columns) if isinstance(self.system, Explicit) else set()
        moving = [c for c in self.model.columns if self.kinds["varies"].get(c, False) and c not in used]
        if moving:
            self.cannot.append(
                f"{', '.join(moving)}, which changes within subjects: its values count up to their records here, from "
                "them on in Monolix"
            )

    # -- the project ---------------------------------------------------------------------------------------------------

    def written(self) -> tuple[str, str, str]:
        """Project, structural model and data."""
        code = self.code()
        for p in self.model.parameters:
            self.known[p.name] = self.fresh(p.name)
        for p in self.model.parameters:
            if p.name in self.native:
                self._individual(p)
        for p in self.model.parameters:
            if p.name not in self.native:
                self._computed(p, code)
        outputs = self._structural(code)
        inputs = [individual.name for individual in self.individuals]
        model = [*self.remarks(self.title), "", "[LONGITUDINAL]"]
        model.append(f"input = {{{', '.join([*inputs, *self.regressors.values()])}}}")
        model += [f"{name} = {{use=regressor}}" for name in self.regressors.values()]
        model += ["", *self.head, *code.lines, "", "OUTPUT:", f"output = {{{', '.join(outputs)}}}"]
        frame = self._table()
        sections = [
            *self.remarks(self.title, f"written for SAEM; the method was {self.method}"), *self.comments(), "",
            *self._datafile(frame), "", "<MODEL>", "", *self._covariates(), *self._statistics(),
            *self._observations(outputs), *self._fit(outputs), *self._parameters(), *self._settings(),
        ]  # fmt: skip
        return "\n".join(sections) + "\n", "\n".join(model) + "\n", csv_of(frame)

    def _population(self, name: str, value: float, fixed: bool) -> str:
        self.values.append((name, value, fixed))
        return name

    def _individual(self, p: Parameter) -> None:
        distribution = self._distribution(p)
        assert distribution is not None and p.value is not None
        name = self.known[p.name]
        fixed = "value" in p.fixed_parts
        found = _Individual(name, distribution, self._population(f"{name}_pop", p.value, fixed), p.value, fixed)
        for effect in p.covariates:
            category = category_of(tree_of(effect.term))
            columns = covariate_columns(effect.term, self.data)
            values = effect.value or (0.0,) * len(columns)
            if category is not None:
                column = columns_of(effect.term)[0]
                levels, chosen = self._levels(effect.term, column)
                names = []
                for level, value in zip(chosen, values, strict=True):
                    made = f"beta_{name}_{self._covariate(column)}_{level}"
                    names.append(self._population(made, value, effect.fixed))
                by_level = dict(zip(chosen, names, strict=True))
                text = "{" + ", ".join(by_level.get(level, "0") for level in levels) + "}"
                found.covariates.append((self._covariate(column), text, names))
                continue
            for tree, value in zip(columns, values, strict=True):
                covariate = self._continuous(tree, effect.term)
                beta = self._population(f"beta_{name}_{covariate}", value, effect.fixed)
                found.covariates.append((covariate, beta, [beta]))
        self.individuals.append(found)

    def _covariate(self, column: str) -> str:
        if column not in self.covariates:
            self.covariates[column] = self.columns.get(column) or self.fresh(column)
            self.columns[column] = self.covariates[column]
        return self.covariates[column]

    def _levels(self, term: str, column: str) -> tuple[list[str], list[str]]:
        """Codes of all levels of a column of categories, and those with a coefficient."""
        codes = codes_of(self.data, column)
        values = self.data.covariate_values([column])[column].dropna()
        levels = sorted(codes.values()) if codes else sorted({float(v) for v in values})
        spelled = [number(float(level)) for level in levels]
        self.categories[self._covariate(column)] = tuple(spelled)
        chosen = [
            number(part.value)
            for tree in covariate_columns(term, self.data)
            for part in nodes(tree)
            if isinstance(part, Number)
        ]
        return spelled, chosen

    def _continuous(self, tree: Expression, term: str) -> str:
        if isinstance(tree, Name):
            return self._covariate(tree.name.removeprefix("data "))
        for part in names_in(tree):
            self._covariate(part.name.removeprefix("data "))
        if term not in self.made:
            text = self.code().text(tree)
            self.made[term] = (self.fresh(f"t{'_'.join(columns_of(term))}"), text)
        return self.made[term][0]

    def _computed(self, p: Parameter, code: Code) -> None:
        """A parameter that the structural model computes, from thetas and random effects that are individual."""
        tree = self.outline.parameters[p.name]
        thetas = {theta.name: theta for theta in self.outline.thetas}
        for part in names_in(tree):
            kind, _, rest = part.name.partition(" ")
            if kind == "data":
                self._regressor(rest)
            elif part.name in self.known:
                continue
            elif kind == "theta":
                theta = thetas[rest]
                name = self.fresh(f"theta_{word_of(rest)}")
                positive = theta.lower == 0 and np.isinf(theta.upper) and theta.value > 0
                typical = self._population(f"{name}_pop", theta.value, theta.fixed)
                distribution = "logNormal" if positive else "normal"
                self.individuals.append(_Individual(name, distribution, typical, theta.value, theta.fixed))
                self.known[part.name] = name
            else:
                name = self.fresh(f"eta_{word_of(rest)}")
                typical = self._population(f"{name}_pop", 0.0, True)
                self.individuals.append(_Individual(name, "normal", typical, 0.0, True))
                self.known[f"eta {rest}"] = self.known[f"kappa {rest}"] = name
        both = {f"eta {p.name}", f"kappa {p.name}"} <= {part.name for part in names_in(tree)}
        if both:  # the two are one normal effect, of two levels
            tree = _without(tree, f"kappa {p.name}")
        code.state(self.known[p.name], tree)

    def _regressor(self, column: str) -> str:
        if column not in self.regressors:
            self.regressors[column] = self.fresh(f"{column}_reg" if column in self.covariates else column)
            self.columns[column] = self.regressors[column]
        return self.regressors[column]

    # -- the structural model ------------------------------------------------------------------------------------------

    def _structural(self, code: Code) -> list[str]:
        if self.closed is not None:
            return self._closed(code)
        assert self.system is not None
        for column in self.system.columns:
            self.known[column] = self._regressor(column)
        self.known["t"] = "t"
        if isinstance(self.system, Differential):
            outputs = self._differential(code, self.system)
        else:
            outputs = self._equations(code, self.system)
        return self._responses(code, outputs)

    def _closed(self, code: Code) -> list[str]:
        closed, kinetics = self.closed, self.structure.kinetics
        assert closed is not None and kinetics is not None
        self.head = ["PK:"]
        simple = kinetics.written_in == "clearance" and closed.size == 1
        if not simple:
            for name, text in kinetics.relations.items():
                self.known[name] = self.fresh(name)
                code.state(self.known[name], read_expression(text, name)[1])
        (entry,) = kinetics.inputs
        volume = self.known[kinetics.volume]
        inward = {"Tlag": entry.lag, "p": entry.bioavailability, "Tk0": entry.duration}
        if closed.depot:
            inward["ka"] = "ka"
        given = [_argument(name, self.known[value]) for name, value in inward.items() if value]
        rates = [name for name in ("k12", "k21", "k13", "k31") if name in self.known]
        output = self.fresh("Cc")
        out = _argument("Cl", self.known["CL"]) if simple else _argument("k", self.known["k"])
        if all(c == 1 for c in self.cmts):
            flows = [_argument(name, self.known[name]) for name in rates]
            code.line(f"{output} = pkmodel({', '.join([*given, _argument('V', volume), out, *flows])})")
        else:
            code.line(f"compartment(cmt=1, volume={volume}, concentration={output})")
            into = "absorption" if closed.depot or entry.duration else "iv"
            code.line(f"{into}({', '.join(['adm=1', 'cmt=1', *given])})")
            code.line("iv(adm=2, cmt=1)")
            code.line(f"elimination(cmt=1, {out})")
            for there, back in (("k12", "k21"), ("k13", "k31")):
                if there in rates:
                    code.line(f"peripheral({_argument(there, self.known[there])}, {_argument(back, self.known[back])})")
        if self.model.error.data_are_logarithms:
            return self._responses(code, {self.structure.responses[0]: Name(output, 0)})
        return [output]

    def _differential(self, code: Code, system: Differential) -> Mapping[str, Expression]:
        self.states = states = {state: self.fresh(state) for state in system.states}
        self.known |= states
        constants, moving = changing_parts(system)
        for name, tree in constants.items():
            self.known[name] = self.fresh(name)
            code.state(self.known[name], tree)
        tables = (("p", system.bioavailability), ("Tlag", system.lag), ("Tk0", system.duration))
        for adm in sorted(set(self.cmts)):
            for at in system.dosing[adm - 1] if adm <= len(system.dosing) else ():
                state = system.states[at]
                given = [f"{word}={code.text(table[state])}" for word, table in tables if state in table]
                code.line(f"depot({', '.join([f'adm={adm}', f'target={states[state]}', *given])})")
        self.head = ["PK:"]
        code.lines += ["", "EQUATION:", *([] if system.stiff is False else ["odeType = stiff"])]
        for state, tree in system.initial.items():
            code.state(f"{states[state]}_0", tree)
        for name, tree in moving.items():
            self.known[name] = self.fresh(name)
            code.state(self.known[name], tree)
        for state, tree in system.rates.items():
            code.state(f"ddt_{states[state]}", tree)
        return system.outputs

    def _equations(self, code: Code, system: Explicit) -> Mapping[str, Expression]:
        self.head = ["EQUATION:"]
        for use, name in (("dose", "DOSE"), ("tad", "TAD")):
            if use in self.doses()[2]:
                self.regressors[use] = self.known[use] = name
        for name, tree in system.definitions.items():
            self.known[name] = self.fresh(name)
            code.state(self.known[name], tree)
        return system.outputs

    def _responses(self, code: Code, outputs: Mapping[str, Expression]) -> list[str]:
        names = []
        if self.closed is not None:
            code.lines += ["", "EQUATION:"]
            self.known |= {tree.name: tree.name for tree in outputs.values() if isinstance(tree, Name)}
        for (response, tree), error in zip(outputs.items(), self.model.errors, strict=True):
            if isinstance(tree, Name) and tree.name in self.states:
                name = self.states[tree.name]
            else:
                name = self.fresh(response)
                code.state(name, tree)
            if error.data_are_logarithms:
                floor = error.counts_zero_as
                inner = name if floor is None else f"max({name}, {number(floor)})"
                name = self.fresh(f"log_{response}")
                code.line(f"{name} = log({inner})")
            names.append(name)
        return names

    # -- the sections --------------------------------------------------------------------------------------------------

    def _table(self) -> pd.DataFrame:
        routes, _, uses = self.doses()
        here = None if routes is None else {n: (n,) for n in routes}
        columns = {c: n for c, n in self.regressors.items() if c not in ("dose", "tad")}
        columns |= {c: n for c, n in self.covariates.items() if c not in columns}
        frame = table_of(
            self.data, columns, here, (), [False] * len(self.model.errors),
            leaves_out_censored=self.model.blq == "M1", uses=uses,
        )  # fmt: skip
        frame = frame.rename(columns={"dose": "DOSE", "tad": "TAD"})
        for column, name in self.covariates.items():
            if name not in frame:
                frame[name] = frame[columns[column]]
        if "CMT" in frame:
            frame["CMT"] = frame["CMT"].where(frame["CMT"] > 0).astype(float)
        return frame

    def _datafile(self, frame: pd.DataFrame) -> list[str]:
        uses = {name: f"{{use={use}}}" for name, use in _USES.items()}
        uses["SS"] = f"{{use=steadystate, nbdoses={_STEADY}}}"
        n = len(self.model.errors)
        if n == 1:
            uses["DV"] = "{use=observation, name=y1, type=continuous}"
        else:
            names, marks = (", ".join(form.format(i) for i in range(1, n + 1)) for form in ("y{0}", "'{0}'"))
            types = ", ".join(["continuous"] * n)
            uses["DV"] = f"{{use=observation, name={{{names}}}, yname={{{marks}}}, type={{{types}}}}}"
        uses |= dict.fromkeys(self.regressors.values(), "{use=regressor}")
        for name in self.covariates.values():
            kind = "categorical" if name in self.categories else "continuous"
            uses[name] = f"{{use=covariate, type={kind}}}"
        lines = ["<DATAFILE>", "", "[FILEINFO]", f"file = '{self.name}.csv'", "delimiter = comma"]
        lines += [f"header = {{{', '.join(frame.columns)}}}", "", "[CONTENT]"]
        return lines + [f"{name} = {uses[name]}" for name in frame.columns]

    def _covariates(self) -> list[str]:
        if not self.covariates:
            return []
        lines = ["[COVARIATE]", f"input = {{{', '.join(self.covariates.values())}}}"]
        lines += self._categories()
        if self.made:
            lines += ["", "EQUATION:", *(f"{name} = {text}" for name, text in self.made.values())]
        return [*lines, ""]

    def _categories(self) -> list[str]:
        found = []
        for name, levels in self.categories.items():
            marks = ", ".join(f"'{level}'" for level in levels)
            found.append(f"{name} = {{type=categorical, categories={{{marks}}}}}")
        return found

    def _spread(self) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
        """Levels and standard deviations by individual parameter, and lines of correlations."""
        spread: dict[str, list[tuple[str, str]]] = {}
        lines = []
        for group in self.outline.groups:
            subject = group.level == "subject"
            level, word = ("id", "omega") if subject else ("id*OCC", "gamma")
            names = [self._bearer(name, subject) for name in group.names]
            sd = np.sqrt(np.diag(group.matrix))
            for name, value in zip(names, sd, strict=True):
                made = self._population(f"{word}_{name}", float(f"{value:.15g}"), group.fixed)
                spread.setdefault(name, []).append((level, made))
            pairs = self._correlations(group, names, sd, "corr" if subject else "corriov")
            if pairs:
                lines.append(f"correlation = {{level={level}, {', '.join(pairs)}}}")
        return spread, lines

    def _bearer(self, name: str, subject: bool) -> str:
        return self.known[name] if name in self.native else self.known[f"{'eta' if subject else 'kappa'} {name}"]

    def _correlations(self, group: Group, names: list[str], sd: NDArray[np.float64], word: str) -> list[str]:
        found = []
        for i, first in enumerate(names):
            for j, second in enumerate(names[:i]):
                r = float(f"{group.matrix[i, j] / (sd[i] * sd[j]):.15g}")
                made = self._population(f"{word}_{first}_{second}", r, group.fixed)
                found.append(f"r({first}, {second})={made}")
        return found

    def _statistics(self) -> list[str]:
        spread, correlations = self._spread()
        used = [name for name, _, _ in self.values]
        covariates = list(dict.fromkeys(c for one in self.individuals for c, _, _ in one.covariates))
        lines = ["[INDIVIDUAL]", f"input = {{{', '.join([*used, *covariates])}}}", *self._categories()]
        lines += ["", "DEFINITION:"]
        for one in self.individuals:
            parts = [f"distribution={one.distribution}", f"typical={one.typical}"]
            if one.covariates:
                named = [covariate for covariate, _, _ in one.covariates]
                texts = [text for _, text, _ in one.covariates]
                several = len(named) > 1
                parts.append(f"covariate={{{', '.join(named)}}}" if several else f"covariate={named[0]}")
                parts.append(f"coefficient={{{', '.join(texts)}}}" if several else f"coefficient={texts[0]}")
            levels = spread.get(one.name, [])
            if not levels:
                parts.append("no-variability")
            elif len(levels) == 1 and levels[0][0] == "id":
                parts.append(f"sd={levels[0][1]}")
            elif len(levels) == 1:
                parts += [f"varlevel={levels[0][0]}", f"sd={levels[0][1]}"]
            else:
                parts.append(f"varlevel={{{', '.join(level for level, _ in levels)}}}")
                parts.append(f"sd={{{', '.join(made for _, made in levels)}}}")
            lines.append(f"{one.name} = {{{', '.join(parts)}}}")
        return [*lines, *correlations, ""]

    def _observations(self, outputs: list[str]) -> list[str]:
        several = len(outputs) > 1
        spelled = {}
        for key, _, value, fixed in self.errors():
            i, _, name = key.partition(" ")
            spelled[key] = self.fresh(f"{name}{int(i) + 1}" if several else name)
            self._population(spelled[key], value, fixed)
        lines = ["[LONGITUDINAL]", f"input = {{{', '.join(spelled.values())}}}", "", f"file = '{self.name}_model.txt'"]
        lines += ["", "DEFINITION:"]
        for at, (output, error) in enumerate(zip(outputs, self.model.errors, strict=True)):
            kind = "lognormal" if error.takes_logarithm else "normal"
            form = _ERRORS[type(error)].format(**{name: spelled[f"{at} {name}"] for name in error.names})
            lines.append(f"y{at + 1} = {{distribution={kind}, prediction={output}, errorModel={form}}}")
        return [*lines, ""]

    @staticmethod
    def _fit(outputs: list[str]) -> list[str]:
        names = ", ".join(f"y{i}" for i in range(1, len(outputs) + 1))
        return ["<FIT>", f"data = {{{names}}}", f"model = {{{names}}}", ""]

    def _parameters(self) -> list[str]:
        lines = [f"{n} = {{value={number(v)}, method={'FIXED' if kept else 'MLE'}}}" for n, v, kept in self.values]
        return ["<PARAMETER>", *lines, ""]

    def _settings(self) -> list[str]:
        return [
            "<MONOLIX>", "", "[TASKS]", "populationParameters()",
            "individualParameters(method = {conditionalMean, conditionalMode})", "fim(method = Linearization)",
            "logLikelihood(method = Linearization)", "", "[SETTINGS]", "GLOBAL:", f"exportpath = '{self.name}'",
        ]  # fmt: skip


_CONDITIONS = ("<", "<=", ">", ">=", "==", "!=", "min", "max", "below", "above", "where")


def _without(tree: Expression, name: str) -> Expression:
    """A tree with 0 in place of a name, left out of sums."""

    def changed(node: Expression) -> Expression | None:
        if isinstance(node, Apply) and node.function == "+":
            kept = [part for part in node.arguments if not (isinstance(part, Name) and part.name == name)]
            return total([_without(part, name) for part in kept]) if len(kept) < len(node.arguments) else None
        return None

    return with_nodes(tree, changed)


def _argument(name: str, value: str) -> str:
    """An argument of a macro: alone where it has the name that the macro knows."""
    return name if name == value else f"{name}={value}"
