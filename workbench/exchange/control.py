"""A model as a control stream of NONMEM, with its data."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from workbench.data import GroupedData
from workbench.exchange.outline import put
from workbench.exchange.table import csv_of, table_of
from workbench.exchange.tongues import NMTRAN, Code, number
from workbench.exchange.writing import Writer, changing_parts, needed_of, place_of, plain, save, stated
from workbench.language.reading import read_expression
from workbench.language.tree import Expression, Name
from workbench.model import Model
from workbench.model.kinetics import Differential, Explicit, Kinetics
from workbench.results import FitResult

_ADVAN = {(1, False): 1, (1, True): 2, (2, False): 3, (2, True): 4, (3, False): 11, (3, True): 12}
_TAKEN = frozenset(
    re.findall(
        r"\w+",
        """
        A ADVAN ALAG1 C DADT DV DVID EPS ERR ETA EVID F F1 G ID IF II IPRED IRES IWRES L2 MDV MIXNUM NEWIND
        PHI PI PRED RATE CMT AMT ADDL SS OCC CENS LIMIT S1 S2 SIGMA T TIME THETA THETAI W Y CONC ELSE ENDIF
        THEN EXP LOG SQRT ABS SIN COS TAN MOD INT MIN MAX CALLFL COM ICALL IREP DOSE TAD F_FLAG CALL DO
        WHILE EXIT RETURN WRITE PRINT OPEN SIMEPS SIMETA DOSTIM DOSREC TNPRI TSCALE XSCALE MTIME MNEXT MPAST
        FO HO ERF
        """,
    )
)
_RESERVED = re.compile(r"(A_0|A_INITIAL|ALAG|THETA|ETA|EPS|ERR|MU_|COM|MTIME|OMEGA|SIGMA)\w*|[FRDSAPC]\d*")
_OF_ADVAN = {1: re.compile(r"KA|K\d*|K\d+T\d+"), 2: re.compile(r"KA|[KVQ]\d*|CL|AOB|VSS")}
_STEP = 0.01  # correlation that stands for 0 in a block, where NONMEM would keep 0 as it is
_OPTIONS = {
    "fo": "METHOD=ZERO MAXEVAL=9999",
    "foce": "METHOD=1 MAXEVAL=9999",
    "focei": "METHOD=1 INTERACTION MAXEVAL=9999",
    "laplace": "METHOD=1 LAPLACIAN INTERACTION MAXEVAL=9999",
    "saem": "METHOD=SAEM INTERACTION NBURN=1000 NITER=500 PRINT=50 SEED=1\n"
    "$ESTIMATION METHOD=IMP INTERACTION EONLY=1 NITER=10 ISAMPLE=3000 PRINT=1 SEED=1",
    "importance": "METHOD=IMP INTERACTION NITER=50 ISAMPLE=3000 PRINT=1 SEED=1",
}


def write_nonmem(
    fit_or_model: FitResult | Model,
    path: str | os.PathLike[str],
    data: GroupedData | None = None,
    method: str | None = None,
) -> Path:
    """Write a control stream for NONMEM, and its data beside it.

    Compartment models with a closed form become ADVAN1–4, 11 or 12, others and differential equations ``$DES``,
    equations ``$PRED``. The residual standard deviation is made of thetas and W; ``$SIGMA`` is 1. Where log y is
    analysed the data hold the logarithms.

    Parameters
    ----------
    fit_or_model : FitResult or Model
        A fit is written with its estimates, a model with its initial values, all of which it must state.
    path : path
        The control stream, as "run1.mod"; ".mod" is put to a name without an ending. The data are
        the same name with ".csv".
    data : GroupedData, optional
        Needed for a model; of a fit, its own if not given.
    method : str, optional
        For a model; of a fit, its own if not given.

    Returns
    -------
    Path
        The control stream.

    Raises
    ------
    ModelError
        If there is something that NONMEM cannot say; all of it is named.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> model = wb.Model(
    ...     wb.pk(absorption="first-order"),
    ...     [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 2.8, iiv=0.3), wb.Parameter("V", 32)],
    ...     error=wb.Combined2(0.5, 0.1),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = wb.write_nonmem(model, folder + "/run1", wb.load_example("theophylline"))
    ...     print([line for line in run.read_text().splitlines() if "ETA(1)" in line])
    ['  KA = THETA(1)*EXP(ETA(1))']
    """
    model, data, method = stated(fit_or_model, data, method, "write_nonmem")
    place = place_of(path, (".mod", ".ctl", ".nm", ".txt"))
    stream, table = control_stream(model, data, method, place.with_suffix(".csv").name)
    save({place.with_suffix(".csv"): table, place: stream})
    return place


def control_stream(model: Model, data: GroupedData, method: str, data_name: str) -> tuple[str, str]:
    """The control stream and the data, as text; see `write_nonmem`."""
    return _Stream(model, data, method, data_name).written()


def _of_advan(kinetics: Kinetics, depot: bool) -> tuple[int, dict[str, str]]:
    """TRANS, and how parameters are called there."""
    size, central = kinetics.size, 1 + int(depot)
    names = {"ka": "KA"}
    if kinetics.written_in != "clearance":
        return 1, names | {
            "k": "K", "k12": f"K{central}{central + 1}", "k21": f"K{central + 1}{central}",
            "k13": f"K{central}{central + 2}", "k31": f"K{central + 2}{central}",
        }  # fmt: skip
    if size == 2 and depot:
        names |= {"V1": "V2", "Q": "Q", "V2": "V3"}
    elif size == 3 and depot:
        names |= {"V1": "V2", "Q2": "Q3", "V2": "V3", "Q3": "Q4", "V3": "V4"}
    else:
        names |= {name: name for name in ("V", "V1", "V2", "V3", "Q", "Q2", "Q3")}
    return 2 if size == 1 else 4, names | {"CL": "CL"}


class _Stream(Writer):
    """A control stream in the making."""

    tool = "NONMEM"
    tongue = NMTRAN
    remark = ";"
    methods = _OPTIONS

    def __init__(self, model: Model, data: GroupedData, method: str, data_name: str):
        super().__init__(model, data, method, data_name)
        self.taken |= {word.casefold() for word in _TAKEN}
        self.trans, self.advan_names = 1, dict[str, str]()
        if self.closed is not None:
            assert self.structure.kinetics is not None
            self.trans, self.advan_names = _of_advan(self.structure.kinetics, self.closed.depot)
        for column in model.columns:
            self.columns[column] = self.fresh(column)
        self.thetas = {theta.name: f"THETA({i})" for i, theta in enumerate(self.outline.thetas, 1)}
        self.etas, self.kappas = self._random_effects()
        self.occasions = len(data.occasions)
        self.refuse()

    def fresh(self, word: str) -> str:
        """A name of NONMEM's that nothing has yet."""
        name = re.sub(r"[^A-Z0-9_]", "", word.upper().replace(" ", "_")).lstrip("0123456789_")[:17] or "X"
        of_advan = self.closed is not None and _OF_ADVAN[min(self.trans, 2)].fullmatch(name)
        if name.casefold() in self.taken or of_advan or _RESERVED.fullmatch(name):
            name = f"{name}X"
        return self.numbered(name)

    def named(self, kind: str, rest: str) -> str:
        """THETA(n) or ETA(n)."""
        return {"theta": self.thetas, "eta": self.etas}[kind][rest]

    def _random_effects(self) -> tuple[dict[str, str], dict[str, list[str]]]:
        """ETA(n) of each parameter, and one for each occasion."""
        etas: dict[str, str] = {}
        kappas: dict[str, list[str]] = {}
        n = 0
        for group in self.outline.groups:
            if group.level == "subject":
                etas |= {name: f"ETA({n + i})" for i, name in enumerate(group.names, 1)}
                n += len(group.names)
                continue
            for _ in self.data.occasions:
                for i, name in enumerate(group.names, 1):
                    kappas.setdefault(name, []).append(f"ETA({n + i})")
                n += len(group.names)
        return etas, kappas

    # -- the records ---------------------------------------------------------------------------------------------------

    def written(self) -> tuple[str, str]:
        """Stream and data."""
        errors = self.model.errors
        logged = [error.takes_logarithm for error in errors]
        routes, timed, uses = self.doses()
        m1 = self.model.blq == "M1"
        frame = table_of(
            self.data, self.columns, routes, timed, logged, leaves_out_censored=m1, uses=uses
        )  # fmt: skip
        frame = frame.rename(columns={"dose": "DOSE", "tad": "TAD"})
        self.censored = "CENS" in frame.columns
        self.above = self.censored and bool((frame["CENS"] < 0).any())
        self.intervals = "LIMIT" in frame.columns
        if self.intervals:
            frame["LIMIT"] = frame["LIMIT"].fillna(-9e9)
        parts = [f"$PROBLEM {self.title}"]
        if any(logged):
            which = [r for r, log in zip(self.structure.responses, logged, strict=True) if log]
            of = f" of {', '.join(which)}" if len(logged) > 1 else ""
            parts += self.remarks(
                f"DV holds natural logarithms{of}, of which",
                "NONMEM's objective is that; workbench's has 2 times the sum of them more",
            )
        parts += self.comments()
        parts.append("$INPUT " + " ".join(frame.columns))
        parts.append(f"$DATA {self.name} IGNORE=@")
        if self.closed is not None:
            parts += self._closed_records()
        elif isinstance(self.system, Explicit):
            parts += self._equations(self.system)
        elif isinstance(self.system, Differential):
            parts += self._differential(self.system)
        parts += self._initial()
        options = _OPTIONS[self.method]
        if self.censored and "LAPLACIAN" not in options and "=1" in options:
            options = options.replace("METHOD=1", "METHOD=1 LAPLACIAN")  # what F_FLAG needs
        parts.append(f"$ESTIMATION {options}")
        parts.append("$COVARIANCE UNCONDITIONAL" if self.method not in ("saem", "importance") else "")
        parts.append(f"$TABLE ID TIME DV MDV IPRED PRED CWRES NOAPPEND ONEHEADER NOPRINT FILE=sdtab{self._number()}")
        return "\n".join(part for part in parts if part) + "\n", csv_of(frame)

    def _number(self) -> str:
        found = re.search(r"(\d+)\.\w+$", self.name)
        return found.group(1) if found else "1"

    def _parameters(self, code: Code, names: Mapping[str, str]) -> None:
        """The parameters of the structure, each a line; `names`: what some are to be called."""
        if self.kappas:
            for name, etas in self.kappas.items():
                kappa = self.fresh(f"IOV_{name}")
                self.known[f"kappa {name}"] = kappa
                code.line(f"{kappa} = 0")
                for i, eta in enumerate(etas, 1):
                    code.line(f"IF (OCC.EQ.{i}) {kappa} = {eta}")
        for name in self.structure.names:
            if name in names:
                self.taken.add(names[name].casefold())
        for name in self.structure.names:
            tree = self.outline.parameters[name]
            kappas = {f"kappa {k}": Name(self.known[f"kappa {k}"], 0) for k in self.kappas}
            self.known |= {self.known[f"kappa {k}"]: self.known[f"kappa {k}"] for k in self.kappas}
            spelled = names.get(name) or self.fresh(name)
            code.state(spelled, put(tree, kappas))
            self.known[name] = spelled

    def _closed_records(self) -> list[str]:
        closed, kinetics = self.closed, self.structure.kinetics
        assert closed is not None and kinetics is not None
        code = self.code()
        names = {name: to for name, to in self.advan_names.items() if name in self.structure.names}
        self._parameters(code, names)
        if self.trans == 1:
            for name, text in kinetics.relations.items():
                self.known[name] = self.advan_names.get(name) or self.fresh(name)
                code.state(self.known[name], read_expression(text, name)[1])
        (entry,) = kinetics.inputs
        target, central = closed.target, closed.central
        if entry.bioavailability:
            code.line(f"F{target} = {self.known[entry.bioavailability]}")
        if entry.lag:
            code.line(f"ALAG{target} = {self.known[entry.lag]}")
        if entry.duration:
            code.line(f"D{target} = {self.known[entry.duration]}")
        code.line(f"S{central} = {self.known[kinetics.volume]}")
        errors = self.code({"F": "F"})
        self._responses(errors, {self.structure.responses[0]: Name("F", 0)})
        advan = _ADVAN[closed.size, closed.depot]
        return [f"$SUBROUTINES ADVAN{advan} TRANS{self.trans}", "$PK", *code.lines, "$ERROR", *errors.lines]

    def _equations(self, system: Explicit) -> list[str]:
        code = self.code()
        self._parameters(code, {})
        local = {"t": "TIME", "dose": "DOSE", "tad": "TAD", **{c: self.columns[c] for c in system.columns}}
        inner = self.code(local)
        for name, tree in system.definitions.items():
            local[name] = self.fresh(name)
            inner.state(local[name], tree)
        self._responses(inner, system.outputs)
        return ["$PRED", *code.lines, *inner.lines]

    def _differential(self, system: Differential) -> list[str]:
        states = {name: f"A({i})" for i, name in enumerate(system.states, 1)}
        code = self.code()
        self._parameters(code, {})
        constants, moving = changing_parts(system)
        columns = {c: self.columns[c] for c in system.columns}
        local = dict(columns)
        fixed = self.code(local)
        for name, tree in constants.items():
            local[name] = self.fresh(name)
            fixed.state(local[name], tree)
        for table, form in (
            (system.initial, "A_0({0})"), (system.bioavailability, "F{0}"), (system.lag, "ALAG{0}"),
            (system.duration, "D{0}"),
        ):  # fmt: skip
            for state, tree in table.items():
                fixed.state(form.format(system.states.index(state) + 1), tree)
        inside = {**local, **states, "t": "T"}
        des = self.code(inside)
        for name, tree in needed_of(system.rates.values(), moving).items():
            inside[name] = self.fresh(f"{name[:12]}_D")
            des.state(inside[name], tree)
        for i, tree in enumerate(system.rates.values(), 1):
            des.state(f"DADT({i})", tree)
        outside = {**local, **states, "t": "TIME"}
        errors = self.code(outside)
        for name, tree in needed_of(system.outputs.values(), moving).items():
            outside[name] = self.fresh(name)
            errors.state(outside[name], tree)
        self._responses(errors, system.outputs)
        digits = max(3, min(11, round(-math.log10(system.rtol))))
        compartments = " ".join(f"COMP=({self._compartment(name)})" for name in system.states)
        solver = 6 if system.stiff is False else 13
        return [
            f"$SUBROUTINES ADVAN{solver} TOL={digits}", f"$MODEL {compartments}",
            "$PK", *code.lines, *fixed.lines, "$DES", *des.lines, "$ERROR", *errors.lines,
        ]  # fmt: skip

    def _compartment(self, state: str) -> str:
        return self.fresh(f"C_{state}"[:18])

    def _responses(self, code: Code, outputs: Mapping[str, Expression]) -> None:
        """IPRED, W and Y: of one response, or of each by DVID."""
        several = len(outputs) > 1
        first = len(self.outline.thetas)
        for i, (key, *_) in enumerate(self.errors(), first + 1):
            self.known[key] = f"THETA({i})"
        for i, (tree, error) in enumerate(zip(outputs.values(), self.model.errors, strict=True)):
            if several:
                code.line(f"IF (DVID.EQ.{i + 1}) THEN")
                code.depth += 1
            prediction = code.text(tree)
            if error.logarithmic:
                floor = error.counts_zero_as
                if floor is not None:
                    code.line(f"CONC = {prediction}")
                    code.line(f"IF (CONC.LE.0) CONC = {number(floor)}")
                    prediction = "CONC"
                prediction = f"LOG({prediction})"
            code.line(f"IPRED = {prediction}")
            names: dict[str, Expression] = {"f": Name("IPRED", 0)}
            spelled = {"IPRED": "IPRED"}
            for name in error.names:
                spelled[name] = self.known[f"{i} {name}"]
            inner = Code(NMTRAN, self.spell(spelled), self.fresh, code.lines, code.depth)
            inner.state("W", put(error.deviation, names))
            if several:
                code.depth -= 1
                code.line("ENDIF")
        if not self.censored:
            code.line("Y = IPRED + W*EPS(1)")
            return
        code.line("IF (CENS.EQ.0) THEN")
        code.line("  F_FLAG = 0")
        code.line("  Y = IPRED + W*EPS(1)")
        code.line("ELSE")
        code.line("  F_FLAG = 1")
        below, above = "PHI((DV-IPRED)/W)", "PHI((IPRED-DV)/W)"
        code.line(f"  Y = {below}")
        if self.above:
            code.line(f"  IF (CENS.EQ.-1) Y = {above}")
        if self.intervals:
            code.line(f"  IF (CENS.EQ.1.AND.LIMIT.GT.-8E9) Y = {below} - PHI((LIMIT-IPRED)/W)")
            code.line(f"  IF (CENS.EQ.-1.AND.LIMIT.GT.-8E9) Y = {above} - PHI((IPRED-LIMIT)/W)")
        code.line("ENDIF")

    def _initial(self) -> list[str]:
        """$THETA, $OMEGA, $SIGMA."""
        lines = []
        for i, theta in enumerate(self.outline.thetas, 1):
            value, note = theta.value, ""
            if value == 0 and not theta.fixed:
                value, note = 0.001, " (0 is no initial estimate for NONMEM)"
            about = plain(theta.about + note)
            lines.append(f"$THETA {_bounded(value, theta.lower, theta.upper, theta.fixed)} ; {i} {about}")
        for i, (_, label, deviation, fixed) in enumerate(self.errors(), len(self.outline.thetas) + 1):
            lines.append(f"$THETA {_bounded(deviation, 0.0, math.inf, fixed)} ; {i} error {label}")
        for group in self.outline.groups:
            n = len(group.names)
            fix = " FIX" if group.fixed else ""
            what = "IIV" if group.level == "subject" else "IOV"
            about = f"; {what} {', '.join(group.names)}"
            matrix = group.matrix
            if not group.fixed and n > 1 and not np.tril(matrix, -1)[np.tril_indices(n, -1)].all():
                sd = np.sqrt(np.diag(matrix))
                matrix = np.where(matrix == 0, _STEP * np.outer(sd, sd), matrix)
                about += " (correlations of 0.01 for 0, which NONMEM would keep)"
            rows = [" ".join(number(float(f"{v:.15g}")) for v in row[: k + 1]) for k, row in enumerate(matrix)]
            if n == 1 and group.level == "subject":
                lines.append(f"$OMEGA {rows[0]}{fix} {about}")
            else:
                lines += [f"$OMEGA BLOCK({n}){fix} {about}", *(f"  {row}" for row in rows)]
            if group.level == "occasion":
                lines += [f"$OMEGA BLOCK({n}) SAME"] * (self.occasions - 1)
        return [*lines, "$SIGMA 1 FIX"]


def _bounded(value: float, lower: float, upper: float, fixed: bool) -> str:
    if fixed:
        return f"{number(value)} FIX"
    if math.isinf(lower) and math.isinf(upper):
        return number(value)
    low = "-INF" if math.isinf(lower) else number(lower)
    return f"({low},{number(value)}" + (")" if math.isinf(upper) else f",{number(upper)})")
