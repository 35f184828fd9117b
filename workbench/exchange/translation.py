"""Control streams become models and data; what cannot be expressed is refused, all at once and by line."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.data import GroupedData, read_data
from workbench.engine import objective
from workbench.errors import ModelError, WorkbenchError
from workbench.exchange.stream import Omega, Published, Records, counted, data_of, published_beside, records_of
from workbench.methods import method_of
from workbench.model import (
    Block,
    Combined,
    Combined2,
    Constant,
    Effect,
    Exponential,
    Model,
    Parameter,
    Power,
    Proportional,
    ResidualError,
    Structure,
    equation,
    ode,
    pk,
)

if TYPE_CHECKING:
    import pandas as pd

    from workbench.exchange.symbolic import Understood

_ROLES = {
    "ID": "subject", "TIME": "time", "DV": "response", "AMT": "amount", "EVID": "evid", "MDV": "mdv",
    "CMT": "compartment", "RATE": "rate", "ADDL": "additional", "II": "interval", "SS": "steady_state",
}  # fmt: skip
_ALL_ROLES = (
    "subject", "time", "date", "response", "amount", "dose", "dose_time", "evid", "mdv", "compartment", "rate",
    "duration", "additional", "interval", "steady_state", "occasion", "censor", "limit", "response_id",
)  # fmt: skip
_OF_RESPONSES = ("DVID", "CMT", "FLAG", "TYPE", "DVTYPE", "YTYPE")
_OF_TRANS = frozenset(
    ("CL", "V", "V1", "V2", "V3", "V4", "Q", "Q2", "Q3", "Q4", "K", "KA", "K12", "K21", "K13", "K31", "K23", "K32",
     "K24", "K42", "VM", "KM")
)  # fmt: skip
_NO_COLUMNS = ("L2", "PCMT", "CALL", "CONT", "RAW_", "MRG_", "RPT_", "L1")
_EQUAL = 1e-4


@dataclass(frozen=True)
class NonmemRun:
    """What a control stream says, and what its run printed.

    Attributes
    ----------
    model : Model
        At the initial values of the stream.
    data : GroupedData
    method : str
    published : Estimates, optional
        What the run printed, where its .ext stands beside the stream.
    left_out : tuple of str
        What is in the stream but in no model, such as tables.
    said : str
        In a sentence: how it was proven.
    """

    model: Model
    data: GroupedData
    method: str
    published: Estimates | None
    left_out: tuple[str, ...]
    said: str

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True)
class Estimates:
    """Published estimates.

    Attributes
    ----------
    ofv : float
        As printed.
    computed : float
        The objective of `model`, computed here.
    model : Model
        At the published estimates.
    source : str
        The file that they are from.
    """

    ofv: float
    computed: float
    model: Model
    source: str

    @property
    def agrees(self) -> bool:
        """Whether the two are equal, to 1e-4."""
        return abs(self.computed - self.ofv) <= _EQUAL * max(1.0, abs(self.ofv) / 1e3)


def read_nonmem(path: str | os.PathLike[str], data: str | os.PathLike[str] | None = None) -> NonmemRun:
    """Read a control stream of NONMEM with its data.

    The text is parsed, never evaluated. Where the .ext of its run stands beside it the model is proven: its
    objective at the printed estimates is computed and compared with the printed one.

    Parameters
    ----------
    path : path
        The control stream.
    data : path, optional
        Its data, if they are not where ``$DATA`` says.

    Returns
    -------
    NonmemRun

    Raises
    ------
    ModelError
        If the stream holds what cannot be expressed; all of it is named, by line.
    FileError
        If a file is missing, too large, or no control stream, or data differ from ``$INPUT``; or if pharmpy, which
        reads the grammar, is not installed (``pip install pharmpy-core``).

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> model = wb.Model(
    ...     wb.pk(absorption="first-order"),
    ...     [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 2.8, iiv=0.3), wb.Parameter("V", 32)],
    ...     error=wb.Combined2(0.5, 0.1),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = wb.read_nonmem(wb.write_nonmem(model, folder + "/run1", wb.load_example("theophylline")))
    >>> run.model == model
    True
    """
    records = records_of(Path(path))
    reader = _Reader(records, None if data is None else Path(data))
    model, read, method = reader.read()
    left_out = tuple(records.left_out)
    printed = published_beside(records.path, len(records.thetas), reader.etas, reader.eps)
    name = records.path.name
    if printed is None:
        return NonmemRun(model, read, method, None, left_out, f"{name} read; not proven: there is no .ext beside it.")
    try:
        at = reader.model_at(printed)
        computed = objective(at, read, method)
    except WorkbenchError as error:
        said = f"{name} read; not proven: at the estimates of {printed.source} there is no objective: {error}"
        return NonmemRun(model, read, method, None, left_out, said)
    found = Estimates(printed.ofv, computed, at, printed.source)
    if found.agrees:
        said = f"{name} read, OFV {printed.ofv:.3f} as in {printed.source}."
    else:
        had, have = counted(records.path), (len(read.events.subjects), int(read.events.observed.sum()))
        why = "the model, the data or the approximation differ"
        if had is not None and had != have:
            why = f"the run had {had[1]} observations of {had[0]} subjects, these data have {have[1]} of {have[0]}"
        elif method_of(method).drawn:
            why = "both are by Monte Carlo"
        said = f"{name} read, but its OFV is {computed:.3f} here and {printed.ofv:.3f} in {printed.source}: {why}."
    return NonmemRun(model, read, method, found, left_out, said)


class _RefusedError(Exception):
    """Something that cannot be expressed, found where there is nothing to go on with."""


class _Reader:
    """A stream on its way to a model."""

    def __init__(self, records: Records, place: Path | None):
        self.records, self.given = records, place
        self.refused = list(records.refused)
        self.etas = sum(len(o.matrix) for o in records.omegas)
        self.eps = sum(len(o.matrix) for o in records.sigmas)
        self.without_interaction = False

    def refuse(self, what: str, pattern: str = "") -> None:
        self.refused.append((self.records.line_of(pattern) if pattern else 0, what))

    def raise_refused(self) -> None:
        if not self.refused:
            return
        seen = sorted(set(self.refused))
        lines = [f"  - line {n}: {what}" if n else f"  - {what}" for n, what in seen[:50]]
        raise ModelError(f"{self.records.path.name} holds what cannot be expressed:\n" + "\n".join(lines))

    # -- the whole -----------------------------------------------------------------------------------------------------

    def read(self) -> tuple[Model, GroupedData, str]:
        """Model at the initial values, data and method."""
        records = self.records
        if "PRED" not in records.code and "PK" not in records.code:
            self.refuse("neither $PRED nor $PK")
        if "PK" in records.code and records.advan not in (1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15):
            self.refuse(f"ADVAN{records.advan}" if records.advan else "a $PK without ADVAN", r"^ *[$]SUB")
        if "PK" in records.code and "ERROR" not in records.code:
            self.refuse("a $PK without $ERROR")
        for name, _ in records.columns:
            if name in _NO_COLUMNS:
                self.refuse(f"the column {name} of $INPUT", r"^ *[$]INPUT")
        method = self._method()
        self.raise_refused()
        self.frame, self.place = data_of(records, self.given)
        self._symbols()
        self.raise_refused()
        try:
            self._understand()
            self.raise_refused()
            data = self._data()
            model = self.build([t[0] for t in records.thetas], [o.matrix for o in records.omegas],
                               [s.matrix for s in records.sigmas])  # fmt: skip
        except _RefusedError as error:
            self.refuse(str(error))
        except (TypeError, ArithmeticError, RecursionError, NotImplementedError) as error:
            self.refuse(f"an expression that cannot be worked with ({type(error).__name__}: {error})")
        self.raise_refused()
        return model, data, method

    def model_at(self, printed: Published) -> Model:
        """The model at the published estimates."""

        def parts(matrix: Any, groups: Sequence[Omega]) -> list[Any]:
            found, n = [], 0
            for group in groups:
                size = len(group.matrix)
                found.append(matrix[n : n + size, n : n + size])
                n += size
            return found

        omegas, sigmas = parts(printed.omega, self.records.omegas), parts(printed.sigma, self.records.sigmas)
        return self.build(list(printed.thetas), omegas, sigmas)

    def _method(self) -> str:
        if not self.records.estimation:
            self.records.left_out.append("no $ESTIMATION: read with FOCEI")
            return "focei"
        options: dict[str, str] = {}
        for given in self.records.estimation:  # what a record does not say, it has from the one before
            options |= {"METHOD" if key.startswith("METH") else key: value for key, value in given.items()}
            for key in given:
                if key.startswith("NOINTER"):
                    options = {k: v for k, v in options.items() if not k.startswith("INTE")}
                elif key.startswith("NOLAP"):
                    options = {k: v for k, v in options.items() if not k.startswith("LAPL")}
        if len(self.records.estimation) > 1:
            self.records.left_out.append(f"{len(self.records.estimation) - 1} $ESTIMATION before the last")

        def has(word: str) -> bool:
            return any(len(key) >= 4 and word.startswith(key) for key in options)

        if has("LIKELIHOOD") or "-2LL" in options or "-2LOGLIKELIHOOD" in options:
            self.refuse("a likelihood of one's own (LIKELIHOOD, -2LL)", r"^ *[$]EST")
        for word in ("CENTERING", "ETABARCHECK", "HYBRID", "STIELTJES", "SLOW"):
            if word in options and word in ("CENTERING", "HYBRID"):
                self.refuse(f"$ESTIMATION {word}", r"^ *[$]EST")
        named = options.get("METHOD", options.get("METH", "0"))
        interaction, laplacian = has("INTERACTION"), has("LAPLACIAN") or has("LAPLACE")
        if named in ("0", "ZERO", "FO", ""):
            return "fo"
        if named in ("1", "COND", "CONDITIONAL", "FOCE", "FOCEI"):
            if laplacian:
                self.without_interaction = not interaction and self._f_flag() is None
                return "laplace"
            return "focei" if interaction or named == "FOCEI" else "foce"
        if named in ("SAEM", "IMP", "IMPMAP", "ITS"):
            if named == "ITS":
                self.refuse("the method ITS", r"^ *[$]EST")
            return "saem" if named == "SAEM" else "importance"
        self.refuse(f"the method {named}", r"^ *[$]EST")
        return "focei"

    def _f_flag(self) -> Any:
        code = self.records.code.get("ERROR", self.records.code.get("PRED", []))
        return next((value for name, value in code if name == "F_FLAG"), None)

    # -- names ---------------------------------------------------------------------------------------------------------

    def _symbols(self) -> None:
        """Thetas, random effects and columns, as symbols; effects of a variance of 0 are 0."""
        import sympy

        symbol = sympy.Symbol
        self.theta = [symbol(f"THETA({i})") for i in range(1, len(self.records.thetas) + 1)]
        self.eta = [symbol(f"ETA({i})") for i in range(1, self.etas + 1)]
        self.columns = {name: symbol(name) for name in self.frame.columns}
        self.kappas: dict[Any, Any] = {}
        self.replaced: dict[Any, Any] = {}
        assigned = {name for code in self.records.code.values() for name, _ in code}
        for name in assigned & set(self.columns):
            self.refuse(f"{name} is a column of the data that is set", rf"^[^;]*\b{name}\b *=")
        code = {
            record: [(name, self._plain(value)) for name, value in lines] for record, lines in self.records.code.items()
        }
        used = {s for lines in code.values() for _, value in lines for s in value.free_symbols}
        known = {str(s) for s in (*self.theta, *self.eta, *self.columns.values())} | assigned
        for s in sorted(map(str, used)):
            inner = re.fullmatch(r"(THETA|ETA|EPS)\((\d+)\)", s)
            if inner is not None and s not in known and inner.group(1) != "EPS":
                self.refuse(
                    f"{s}, which ${'THETA' if inner.group(1) == 'THETA' else 'OMEGA'} does not give", re.escape(s)
                )
        at = 0
        for group in self.records.omegas:
            for i in range(len(group.matrix)):
                if group.matrix[i, i] == 0:
                    if len(group.matrix) > 1:
                        self.refuse("a block of $OMEGA with a variance of 0", r"^ *[$]OMEGA")
                    self.replaced[self.eta[at]] = sympy.Integer(0)
                at += 1
        self.code = {
            record: [(name, value.xreplace(self.replaced)) for name, value in lines] for record, lines in code.items()
        }

    def _plain(self, value: Any) -> Any:
        import sympy

        renamed = {}
        for s in value.free_symbols:
            name = str(s).replace(" ", "").upper().replace("ERR(", "EPS(")
            renamed[s] = sympy.Symbol(self.records.synonyms.get(name, name))
        return value.xreplace(renamed)

    # -- the model -----------------------------------------------------------------------------------------------------

    def _understand(self) -> None:
        """Structure, parameters, residual errors, in terms of thetas and random effects."""
        import sympy

        from workbench.exchange.symbolic import Program, understood

        main = self.code["PK"] if "PK" in self.code else self.code["PRED"]
        first = Program().run(main)
        self._occasions(first)
        if self.kappas:
            main = [(name, self._with_kappas(value)) for name, value in main]
        eta, kappa = set(self.eta) - set(self.kappas), set(self.kappas.values())
        theta, data = set(self.theta), set(self.columns.values()) - {sympy.Symbol("TIME")}

        def understand(value: Any) -> Understood | None:
            return understood(value, theta.__contains__, eta.__contains__, kappa.__contains__, data.__contains__)

        full = Program().run(self._settled(main))
        keep = []
        for n, v in full.now.items():
            u = understand(v) if n != "Y" and v.free_symbols & (eta | kappa) else None
            if u is not None and u.typical != 0:  # a random effect alone is a part of a parameter
                keep.append(n)
        wanted = self._wanted()
        while True:
            program = Program().run(self._settled(main), keep)
            kept = {n: understand(v) for n, v in program.kept.items()}
            direct = set()
            for n in wanted:
                value = program.now.get(n)
                if value is None or n in kept or not value.free_symbols:
                    continue
                if value.free_symbols <= theta | eta | kappa | data and understand(value) is not None:
                    direct.add(n)
            wrong = [n for n, u in kept.items() if u is None]
            if not direct and not wrong:
                break
            keep = [n for n in (*keep, *sorted(direct)) if n not in wrong]
            wanted = [n for n in wanted if n not in wrong]
        parts = self._parts(program)
        used_by: dict[Any, set[str]] = {}
        for place, value in [*program.kept.items(), *parts.items()]:
            for s in value.free_symbols & (theta | eta | kappa):
                used_by.setdefault(s, set()).add(place)
        shared = {n for n, v in program.kept.items() for s in v.free_symbols if len(used_by.get(s, ())) > 1}
        if shared:
            program = Program().run(self._settled(main), [n for n in keep if n not in shared])
            parts = self._parts(program)
        self.understood: dict[str, Understood] = {}
        needed = {str(s) for v in parts.values() for s in v.free_symbols}
        for n, v in program.kept.items():
            u = understand(v)
            if n in needed and u is not None:
                self.understood[n] = u
        self.parts = parts
        self._errors()
        self._structure()

    def _settled(self, code: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [(n, v) for n, v in code if n not in ("Y", "F_FLAG")] if "PK" in self.code else list(code)

    def _wanted(self) -> list[str]:
        """Names of $PK that other records use."""
        if "PK" not in self.code:
            return []
        names = {n for n, _ in self.code["PK"]}
        used = {str(s) for record in ("DES", "ERROR") for _, v in self.code.get(record, []) for s in v.free_symbols}
        direct = frozenset[str]() if self.code.get("DES") else _OF_TRANS
        special = {n for n in names if re.fullmatch(r"(ALAG|D)\d+|[FRS]\d+|S0", n)}
        behind = {str(s) for n, v in self.code["PK"] if n in special for s in v.free_symbols}
        return [n for n in names if n in used | direct | special | behind and not n.startswith("A_0")]

    def _occasions(self, program: Any) -> None:
        """Which random effects are those of occasions, and by which column."""
        import sympy

        groups: list[list[list[Any]]] = []
        at = 0
        for group in self.records.omegas:
            n = len(group.matrix)
            if group.same:
                groups[-1].append(self.eta[at : at + n])
            else:
                groups.append([self.eta[at : at + n]])
            at += n
        self.groups = groups
        self.occasion: str | None = None
        repeated = [g for g in groups if len(g) > 1]
        if not repeated:
            return
        all_of = {e for g in repeated for members in g for e in members}
        columns = {
            s for v in program.now.values() if v.free_symbols & all_of
            for p in v.atoms(sympy.Piecewise, sympy.Rel) for s in p.free_symbols if str(s) in self.columns
        }  # fmt: skip
        direct = {s for v in program.now.values() if v.free_symbols & all_of for s in v.free_symbols
                  if str(s) in self.columns}  # fmt: skip
        for column in sorted(columns or direct, key=str):
            levels = sorted(self.frame[str(column)].unique())
            if len(levels) <= 50 and self._by_occasion(program, repeated, all_of, column, levels):
                self.occasion = str(column)
                return
        self.refuse("$OMEGA SAME for what is not one random effect for each occasion of a column", r"\bSAME\b")
        raise _RefusedError("random effects of occasions")

    def _by_occasion(self, program: Any, groups: Any, all_of: set[Any], column: Any, levels: Sequence[float]) -> bool:
        import sympy

        kappas: dict[Any, Any] = {}
        for group in groups:
            for member in range(len(group[0])):
                kappa = sympy.Symbol(f"KAPPA({str(group[0][member])[4:-1]})")
                kappas |= {members[member]: kappa for members in group}
        for value in program.now.values():
            if not value.free_symbols & all_of:
                continue
            alike = set()
            for level in levels:
                number = sympy.Integer(int(level)) if float(level).is_integer() else sympy.Float(level)
                there = value.xreplace({column: number})
                there = there.doit() if hasattr(there, "doit") else there
                there = sympy.piecewise_fold(there) if there.has(sympy.Piecewise) else there
                found = there.free_symbols & all_of
                if len({kappas[e] for e in found}) < len(found):
                    return False
                if not found:
                    return False
                alike.add(there.xreplace({e: kappas[e] for e in found}))
            if len(alike) != 1:
                return False
        self.kappas, self.levels, self.column = kappas, levels, column
        return True

    def _with_kappas(self, value: Any) -> Any:
        """An assignment with the effect of the first occasion in place of each; conditions on the occasion go."""
        import sympy

        level = self.levels[0]
        number = sympy.Integer(int(level)) if float(level).is_integer() else sympy.Float(level)
        if self.column in value.free_symbols:
            value = value.xreplace({self.column: number}).doit()
        return value.xreplace(self.kappas)

    def _parts(self, program: Any) -> dict[str, Any]:
        """What the structure and Y are made of, by name, in terms of what is kept."""
        import sympy

        from workbench.exchange.symbolic import Program

        values = program.now
        if "PK" not in self.code:
            if "Y" not in values:
                raise _RefusedError("$PRED without Y")
            return {"Y": values["Y"]}
        parts: dict[str, Any] = {}
        amounts = [sympy.Symbol(f"A({i})") for i in range(1, self._size() + 1)]
        advan = self.records.advan
        if "DES" in self.code:
            des = Program(dict(values)).run(self.code["DES"])
            for i in range(1, self._size() + 1):
                if f"DADT({i})" not in des.now:
                    raise _RefusedError(f"$DES without DADT({i})")
                parts[f"DADT({i})"] = des.now[f"DADT({i})"]
        else:
            parts |= self._rates(values)
        central = {1: 1, 2: 2, 3: 1, 4: 2, 10: 1, 11: 1, 12: 2}.get(advan, self._observed())
        self.central = central
        scale = values.get(f"S{central}", values.get("SC", sympy.Integer(1)))
        concentration = amounts[central - 1] / scale
        errors = Program({**values, "F": concentration}).run(
            [(n, self._with_kappas(v) if self.kappas else v) for n, v in self.code["ERROR"]]
        )
        if "Y" not in errors.now:
            raise _RefusedError("$ERROR without Y")
        parts["Y"] = errors.now["Y"]
        if "F_FLAG" in errors.now:
            parts["F_FLAG"] = errors.now["F_FLAG"]
        for name, value in values.items():
            if re.fullmatch(r"(ALAG|D|F|R|A_0\()\d+\)?", name) and name != "F0":
                parts[name] = value
        if any(re.fullmatch(r"R\d+", n) for n in parts):
            self.refuse("a rate of doses that is a parameter (R1 and the like)", r"^\s*R\d+\s*=")
        return parts

    def _size(self) -> int:
        size = {1: 1, 2: 2, 3: 2, 4: 3, 10: 1, 11: 3, 12: 4}.get(self.records.advan)
        if size is not None:
            return size
        numbers = [int(m.group(1)) for n, _ in self.code.get("DES", []) if (m := re.fullmatch(r"DADT\((\d+)\)", n))]
        if not numbers:
            raise _RefusedError("ADVAN6 and the like without $DES")
        return max(numbers)

    def _observed(self) -> int:
        """The compartment that F is of: DEFOBSERVATION, or one called CENTRAL, or the first."""
        found = [i for i, text in enumerate(self.records.compartments, 1) if "DEFOB" in text.upper()]
        if not found:
            found = [
                i for i, text in enumerate(self.records.compartments, 1) if re.match(r"\(?CENTRAL\b", text.upper())
            ]
        for i, text in enumerate(self.records.compartments, 1):
            if re.search(r"DEFD", text.upper()) and i != 1:
                self.refuse("DEFDOSE of another compartment than the first", r"DEFD")
            if re.search(r"INITIALOFF|NOOFF|NODOSE|EQUIL", text.upper()):
                self.refuse(f"$MODEL {text}", r"^ *[$]MODEL")
        return found[0] if found else 1

    def _rates(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The equations of an ADVAN with a closed form."""
        import sympy

        advan, trans = self.records.advan, self.records.trans
        A = [sympy.Symbol(f"A({i})") for i in range(1, self._size() + 1)]

        def get(name: str) -> Any:
            if name not in values:
                raise _RefusedError(f"ADVAN{advan} TRANS{trans} without {name}")
            return values[name]

        if advan == 10:
            return {"DADT(1)": -get("VM") * A[0] / (get("KM") + A[0])}
        depot = advan in (2, 4, 12)
        c = int(depot)
        others = self._size() - c - 1
        n = c + 1
        if trans == 1:
            k = get("K")
            out = [get(f"K{n}{n + 1 + i}") for i in range(others)]
            back = [get(f"K{n + 1 + i}{n}") for i in range(others)]
        elif trans == 2 and not others:
            k, out, back = get("CL") / get("V"), [], []
        elif trans == 3 and others == 1:
            k, out, back = get("CL") / get("V"), [get("Q") / get("V")], [get("Q") / (get("VSS") - get("V"))]
        elif trans == 4 and others:
            v = get(f"V{n}")
            flow = ["Q"] if others == 1 else [f"Q{n + 1}", f"Q{n + 2}"]
            k = get("CL") / v
            out = [get(q) / v for q in flow]
            back = [get(q) / get(f"V{n + 1 + i}") for i, q in enumerate(flow)]
        else:
            raise _RefusedError(f"ADVAN{advan} with TRANS{trans}")
        rates: dict[str, Any] = {}
        total = -(k + sum(out)) * A[c] + sum(b * A[c + 1 + i] for i, b in enumerate(back))
        if depot:
            rates["DADT(1)"] = -get("KA") * A[0]
            total += get("KA") * A[0]
        rates[f"DADT({n})"] = total
        for i in range(others):
            rates[f"DADT({n + 1 + i})"] = out[i] * A[c] - back[i] * A[c + 1 + i]
        return rates

    # -- residual errors -----------------------------------------------------------------------------------------------

    def _errors(self) -> None:
        """Predictions and residual errors, one for each response."""
        import sympy

        from workbench.exchange.symbolic import UNSET

        y = self.parts.pop("Y")
        flag = self.parts.pop("F_FLAG", None)
        self.blq: Any = None
        if (flag is not None and flag != 0) or (self._f_flag() is not None and "PK" not in self.code):
            y = self._censored(y, flag)
        self.response_column: str | None = None
        answers = [y]
        self.levels_of_response: list[float] = []
        compared = {s for p in y.atoms(sympy.Rel) for s in p.free_symbols}
        columns = {s for s in compared if str(s) in _OF_RESPONSES and str(s) in self.columns}
        if len(columns) == 1:
            (column,) = columns
            observed = self._observations()
            levels = sorted(self.frame.loc[observed, str(column)].unique())
            answers = [sympy.piecewise_fold(y.xreplace({column: _number(v)}).doit()) for v in levels]
            if len(levels) > 1:
                self.response_column, self.levels_of_response = str(column), levels
        self.predictions: list[Any] = []
        self.residuals: list[tuple[str, list[tuple[Any, Any]], bool]] = []
        for answer in answers:
            if sympy.Symbol(UNSET) in answer.free_symbols:
                raise _RefusedError("Y, which is given under a condition only")
            prediction, kind, parts, logs = self._error(answer)
            self.predictions.append(prediction)
            self.residuals.append((kind, parts, logs))
            if self.without_interaction and kind != "constant":
                self.refuse("Laplace without interaction where the residual error depends on the prediction", "LAPLA")

    def _observations(self) -> Any:
        frame = self.frame
        if "MDV" in frame:
            return frame["MDV"] == 0
        if "EVID" in frame:
            return frame["EVID"] == 0
        return frame["AMT"] == 0 if "AMT" in frame and "PK" in self.code else np.ones(len(frame), dtype=bool)

    def _censored(self, y: Any, flag: Any) -> Any:
        """M3: the branch that is measured; the other must be the probability to lie below the limit."""
        import sympy

        del flag
        column = sympy.Symbol("CENS")
        if "CENS" in self.columns and "LIMIT" not in self.columns and column in y.free_symbols:
            measured = y.xreplace({column: sympy.Integer(0)}).doit()
            below = y.xreplace({column: sympy.Integer(1)}).doit()
            eps = [s for s in measured.free_symbols if str(s).startswith("EPS(")]
            if len(eps) == 1 and below.func.__name__.upper() == "PHI":
                f = measured.xreplace({eps[0]: sympy.Integer(0)})
                w = sympy.diff(measured, eps[0])
                dv = sympy.Symbol("DV")
                if sympy.simplify(below.args[0] - (dv - f) / w) == 0 and self._is_one(eps[0]):
                    self.blq = "M3"
                    return measured
        self.refuse("F_FLAG for what is not M3 by a column CENS, with Y = PHI((DV - IPRED)/W)", r"F_FLAG")
        return y

    def _is_one(self, eps: Any) -> bool:
        value, fixed = self._sigma(eps)
        return fixed and value == 1.0

    def _sigma(self, eps: Any) -> tuple[float, bool]:
        """Initial variance of an EPS, and whether it is fixed."""
        number, at = int(str(eps)[4:-1]), 0
        for group in self.records.sigmas:
            for i in range(len(group.matrix)):
                at += 1
                if at == number:
                    off = group.matrix[i].copy()
                    off[i] = 0
                    if off.any():
                        self.refuse("correlated residual errors ($SIGMA BLOCK)", r"^ *[$]SIGMA")
                    return float(group.matrix[i, i]), group.fixed
        raise _RefusedError(f"{eps}, which $SIGMA does not give")

    def _error(self, y: Any) -> tuple[Any, str, list[tuple[Any, Any]], bool]:
        """Prediction, kind of error, its parameters as (expression, EPS), and whether log f is predicted."""
        import sympy

        eps = sorted((s for s in y.free_symbols if str(s).startswith("EPS(")), key=str)
        if not eps:
            raise _RefusedError("Y without EPS")
        none = dict.fromkeys(eps, sympy.Integer(0))
        f = y.xreplace(none)
        slopes = {e: sympy.diff(y, e).xreplace(none) for e in eps}
        slopes = {e: g for e, g in slopes.items() if g != 0}
        free = set(self.theta)
        if any(g.has(sympy.Piecewise) for g in slopes.values()):
            self.records.left_out.append("what the residual error is where the prediction is not positive")
        mark = sympy.Symbol("PREDICTION", positive=True)

        def in_f(g: Any) -> Any:
            if not (g.free_symbols - free):
                return g
            ratio = sympy.simplify(g / f)
            if not (ratio.free_symbols - free):
                return ratio * mark
            return g.subs(f, mark)

        written = {e: in_f(g) for e, g in slopes.items()}
        if any(g.free_symbols - free - {mark} for g in written.values()):
            raise _RefusedError(
                f"a residual error that is no function of the prediction: {next(iter(slopes.values()))}"
            )
        logs = isinstance(f, sympy.log)
        if all(mark not in g.free_symbols for g in written.values()) and len(written) == 1:
            ((e, g),) = written.items()
            return f, "constant", [(g, e)], logs
        if len(written) == 1:
            ((e, g),) = written.items()
            if mark not in (g / mark).simplify().free_symbols:
                return f, "proportional", [((g / mark).simplify(), e)], False
            square = sympy.expand(sympy.simplify(g**2))
            c0, c2 = square.coeff(mark, 0), square.coeff(mark, 2)
            if sympy.simplify(square - c0 - c2 * mark**2) == 0 and c0 != 0:
                return f, "combined2", [(sympy.sqrt(c0), e), (sympy.sqrt(c2), e)], False
            plain = sympy.expand(g)
            d0, d1 = plain.coeff(mark, 0), plain.coeff(mark, 1)
            if sympy.simplify(plain - d0 - d1 * mark) == 0:
                return f, "combined", [(d0, e), (d1, e)], False
            scale, power = g.as_independent(mark)
            if power.is_Pow and power.base == mark and not power.exp.has(mark):
                return f, "power", [(scale, e), (power.exp, None)], False
            raise _RefusedError(f"a residual error of another form: {g}")
        constant = [(g, e) for e, g in written.items() if mark not in g.free_symbols]
        relative = [((g / mark).simplify(), e) for e, g in written.items() if mark in g.free_symbols]
        if len(constant) == 1 and len(relative) == 1 and mark not in relative[0][0].free_symbols:
            return f, "combined2", [constant[0], relative[0]], False
        raise _RefusedError(f"a residual error of {len(written)} parts that are no constant and proportional one")

    # -- structure -----------------------------------------------------------------------------------------------------

    def _structure(self) -> None:
        """The structure, and which parameters it has."""
        self.rename: dict[str, str] = {}
        if "PK" in self.code and "DES" not in self.code and self._closed():
            return
        self._written()

    def _closed(self) -> bool:
        """A compartment model of the library, where every parameter is one of a model."""
        import sympy

        advan, trans = self.records.advan, self.records.trans
        if advan == 10 or len(self.predictions) > 1:
            return False
        depot = advan in (2, 4, 12)
        size = {1: 1, 2: 1, 3: 2, 4: 2, 11: 3, 12: 3}[advan]
        n = 1 + int(depot)
        amount = sympy.Symbol(f"A({n})")
        f = self.predictions[0]
        logs = isinstance(f, sympy.log)
        inner = f.args[0] if logs else f
        volume = sympy.simplify(amount / inner)
        if not volume.is_Symbol or str(volume) not in self.understood:
            return False
        rates = self.parts
        amounts = {i: sympy.Symbol(f"A({i})") for i in range(1, 5)}
        known = {a: sympy.Integer(i == n) for i, a in amounts.items()}
        loss = -rates[f"DADT({n})"].xreplace(known)
        out = [rates[f"DADT({n + 1 + i})"].xreplace(known) for i in range(size - 1)]
        back = [
            -rates[f"DADT({n + 1 + i})"].xreplace({sympy.Symbol(f"A({n + 1 + i})"): 1, amount: 0})
            for i in range(size - 1)
        ]
        k = sympy.simplify(loss - sum(out))
        found: dict[str, Any] = {}
        clearance = k * volume
        if (sympy.simplify(clearance).is_Symbol and trans != 1) or (sympy.simplify(clearance).is_Symbol and size == 1):
            written = "clearance"
            found["CL"] = sympy.simplify(clearance)
            found["V" if size == 1 else "V1"] = volume
            for i in range(size - 1):
                q = sympy.simplify(out[i] * volume)
                found["Q" if size == 2 else f"Q{i + 2}"] = q
                found[f"V{i + 2}"] = sympy.simplify(q / back[i])
        else:
            written = "rate"
            found |= {"k": k, ("V" if size == 1 else "V1"): volume}
            for i in range(size - 1):
                found |= {f"k1{i + 2}": out[i], f"k{i + 2}1": back[i]}
        absorption = None
        if depot:
            absorption = "first-order"
            found["ka"] = -rates["DADT(1)"].xreplace({sympy.Symbol("A(1)"): sympy.Integer(1)})
        for name, to in (("ALAG1", "lag"), ("F1", "F"), ("D1", "Tk0")):
            if name in rates:
                found[to] = rates[name]
        special = [m for m in rates if re.fullmatch(r"(ALAG|F|D|A_0\()\d+\)?", m) and m not in ("ALAG1", "F1", "D1")]
        if special:
            return False
        if "Tk0" in found:
            coded = self.frame["RATE"] if "RATE" in self.frame else 0 * self.frame["AMT"]
            doses = self.frame["AMT"] > 0
            if (
                depot
                or not (coded[doses] == -2).all()
                or ("CMT" in self.frame and (self.frame.loc[doses, "CMT"] > 1).any())
            ):
                return False
            absorption = "zero-order"
        names = {to: str(v) for to, v in found.items()}
        if any(not v.is_Symbol or str(v) not in self.understood for v in found.values()):
            return False
        if len(set(names.values())) < len(names) or set(names.values()) != set(self.understood):
            return False
        used = {s for v in (*self.parts.values(), *self.predictions) for s in v.free_symbols}
        if used & (set(self.theta) | set(self.eta) | set(self.kappas.values()) | set(self.columns.values())):
            return False
        choices: dict[str, Any] = {"absorption": absorption, "parameters": written}
        structure: Structure = pk(size, **choices, lag="lag" in found, bioavailability="F" in found)
        self.rename = {nm: to for to, nm in names.items()}
        self.structure_, self.order = structure, list(structure.names)
        self.log_data = logs
        return True

    def _written(self) -> None:
        """Equations, or differential equations, as text."""
        import sympy

        from workbench.exchange.symbolic import NoWordsError, words

        names: dict[Any, Any] = {}
        used = {s for v in (*self.parts.values(), *self.predictions) for s in v.free_symbols}
        for s in used:
            shown = str(s)
            if s in self.theta:
                names[s] = sympy.Symbol(f"theta{shown[6:-1]}")
            elif s in self.eta:
                names[s] = sympy.Symbol(f"eta{shown[4:-1]}")
            elif s in self.kappas.values():
                names[s] = sympy.Symbol(f"kappa{shown[6:-1]}")
            elif re.fullmatch(r"A\(\d+\)", shown):
                names[s] = sympy.Symbol(f"A{shown[2:-1]}")
            elif shown == "T":
                names[s] = sympy.Symbol("t")
        self.pseudo = {old: new for old, new in names.items() if str(old).startswith(("THETA", "ETA", "KAPPA"))}
        covariates = sorted({str(s) for s in used if str(s) in self.columns} - {"TIME"})
        others = [v for n, v in self.parts.items() if not n.startswith("DADT")]
        in_time = any(sympy.Symbol("TIME") in v.free_symbols for v in others)
        if in_time:
            self.refuse("TIME in $PK", r"[=(].*\bTIME\b")
        for n, v in self.parts.items():
            if n.startswith("DADT") and sympy.Symbol("TIME") in v.free_symbols:
                self.refuse("TIME in $PK or $DES, where T is the time", r"[=(].*\bTIME\b")
        names[sympy.Symbol("TIME")] = sympy.Symbol("t")
        unknown = {str(s) for s in used} - set(map(str, names)) - set(self.columns) - set(self.understood) - {"UNSET"}
        for name in sorted(unknown):
            self.refuse(f"{name}, which is given nowhere", rf"\b{re.escape(name)}\b")
        self.raise_refused()
        states = [n for n in self.parts if n.startswith("DADT(")]

        def text(value: Any) -> str:
            return words(value.xreplace(names))

        try:
            outputs = {f"response{i}" if len(self.predictions) > 1 else "response": text(p)
                       for i, p in enumerate(self.predictions, 1)}  # fmt: skip
            if not states:
                structure: Structure = (
                    equation(outputs["response"], covariates) if len(outputs) == 1
                    else equation("", covariates, responses=outputs)
                )  # fmt: skip
            else:
                lines = [f"d/dt A{n[5:-1]} = {text(self.parts[n])}" for n in states]
                lines += [f"A{n[4:-1]}(0) = {text(v)}" for n, v in self.parts.items() if n.startswith("A_0(")]
                tables: dict[str, Any] = {
                    word: {
                        f"A{n[len(sign) :]}": text(v) for n, v in self.parts.items() if re.fullmatch(rf"{sign}\d+", n)
                    }
                    for word, sign in (("lag", "ALAG"), ("bioavailability", "F"), ("duration", "D"))
                }
                tolerance = 10.0 ** -max(8, self.records.rtol or 8)
                structure = ode(
                    "\n".join(lines), response=outputs, covariates=covariates, rtol=max(tolerance, 1e-12),
                    **tables,
                )  # fmt: skip
        except NoWordsError as error:
            raise _RefusedError(f"{error}, which has no meaning in equations here") from error
        self.structure_, self.order, self.log_data = structure, list(structure.names), False

    def _numbered(self, sign: str) -> list[str]:
        return [name for name in self.parts if re.fullmatch(rf"{sign}\d+", name)]

    # -- values ----------------------------------------------------------------------------------------------------

    def build(self, thetas: Sequence[float], omegas: Sequence[Any], sigmas: Sequence[Any]) -> Model:
        """The model at values."""
        values = dict(zip(self.theta, thetas, strict=True))
        variances: dict[Any, float] = {}
        fixed: dict[Any, bool] = {}
        at = 0
        for group, matrix in zip(self.records.omegas, omegas, strict=True):
            for i in range(len(matrix)):
                effect = self.kappas.get(self.eta[at], self.eta[at])
                if effect not in variances:
                    variances[effect], fixed[effect] = float(matrix[i, i]), group.fixed
                at += 1
        owner: dict[Any, str] = {}
        parameters: list[Parameter] = []
        inverse = {to: name for name, to in self.rename.items()}
        for name in self.order:
            u = self.understood.get(inverse.get(name, name))
            if u is not None:
                parameters.append(self._parameter(name, u, values, variances, fixed, owner))
        pseudo = {str(new): old for old, new in getattr(self, "pseudo", {}).items()}
        for name in self.order:
            old = pseudo.get(name)
            if old is None:
                continue
            if old in values:
                _, lower, upper, kept = self.records.thetas[self.theta.index(old)]
                value = values[old]
                bounds = (None if math.isinf(lower) else lower, None if math.isinf(upper) else upper)
                inside = lower < value < upper
                parameters.append(Parameter(name, value, transform="identity", fixed=kept,
                                            bounds=bounds if inside and bounds != (None, None) else None))  # fmt: skip
            else:
                part = "iov" if str(old).startswith("KAPPA") else "iiv"
                owner[old] = name
                parts = ("value", part) if fixed[old] else ("value",)
                spread: dict[str, Any] = {part: math.sqrt(variances[old])}
                parameters.append(Parameter(name, 0.0, transform="identity", fixed=parts, **spread))
        blocks = self._blocks(omegas, owner)
        order = {name: i for i, name in enumerate(self.order)}
        parameters.sort(key=lambda p: order[p.name])
        errors = [self._residual(r, values, sigmas) for r in self.residuals]
        return Model(self.structure_, parameters, errors if len(errors) > 1 else errors[0], blocks, self.blq)

    def _parameter(
        self, name: str, u: Understood, values: Mapping[Any, float], variances: Mapping[Any, float],
        fixed: Mapping[Any, bool], owner: dict[Any, str],
    ) -> Parameter:  # fmt: skip
        from workbench.exchange.symbolic import at

        typical = at(u.typical, values)
        (theta,) = u.typical.free_symbols or {None}
        kept = theta is None
        bounds: tuple[float | None, float | None] | None = None
        lower = -math.inf
        if theta is not None:
            _, lower, upper, kept = self.records.thetas[self.theta.index(theta)]
            if u.typical == theta:
                inside = lower < typical < upper
                bounds = (None if math.isinf(lower) else lower, None if math.isinf(upper) else upper)
                bounds = bounds if inside else None
        transform = u.transform
        if transform == "plain":
            transform = "log" if typical > 0 and (lower >= 0 or u.parts) else "identity"
        if transform == "log" and bounds is not None and bounds[0] is not None and bounds[0] <= 0:
            bounds = (None, bounds[1])
        if transform == "logit" or bounds == (None, None):
            bounds = None
        effects = []
        for part in u.parts:
            found = part.coefficient.free_symbols
            (own,) = found or {None}
            keeps = own is None or self.records.thetas[self.theta.index(own)][3]
            effects.append(Effect(part.term, (at(part.coefficient, values),), keeps, part.fractional))
        stated = ["value"] if kept else []
        iiv = iov = None
        if u.eta is not None:
            owner[u.eta] = name
            iiv = math.sqrt(variances[u.eta])
            stated += ["iiv"] if fixed[u.eta] else []
        if u.kappa is not None:
            owner[u.kappa] = name
            iov = math.sqrt(variances[u.kappa])
            stated += ["iov"] if fixed[u.kappa] else []
        return Parameter(name, typical, iiv, tuple(effects), transform, tuple(stated), None, bounds, iov)

    def _blocks(self, omegas: Sequence[Any], owner: Mapping[Any, str]) -> list[Block]:
        blocks = []
        at = 0
        for group, matrix in zip(self.records.omegas, omegas, strict=True):
            n = len(matrix)
            members = self.eta[at : at + n]
            at += n
            if group.same or n == 1:
                continue
            names = [owner.get(self.kappas.get(e, e)) for e in members]
            if None in names:
                if any(names):
                    raise ModelError(
                        f"{self.records.path.name}: a block of $OMEGA in which some random effects are used nowhere."
                    )
                continue
            sd = np.sqrt(np.diag(matrix))
            correlation = (matrix / np.outer(sd, sd))[np.tril_indices(n, -1)]
            level = "occasion" if members[0] in self.kappas else "subject"
            blocks.append(
                Block(*[str(x) for x in names], correlations=map(float, correlation), fixed=group.fixed, level=level)  # type: ignore[arg-type]
            )
        return blocks

    def _residual(self, residual: Any, values: Mapping[Any, float], sigmas: Sequence[Any]) -> ResidualError:
        from workbench.exchange.symbolic import at

        kind, parts, logs = residual
        numbers, kept = [], []
        for expression, eps in parts:
            thetas = sorted(expression.free_symbols & set(self.theta), key=str)
            all_fixed = all(self.records.thetas[self.theta.index(t)][3] for t in thetas)
            sigma, sigma_fixed = 1.0, True
            if eps is not None:
                sigma_fixed = self._sigma(eps)[1]
                sigma = float(np.concatenate([np.diag(m) for m in sigmas])[int(str(eps)[4:-1]) - 1])
            if len(thetas) > 1 or (thetas and not all_fixed and not sigma_fixed):
                self.refuse("a residual error with more parameters than it can tell apart", r"^ *[$]SIGMA")
                self.raise_refused()
            numbers.append(abs(at(expression, values)) * (math.sqrt(sigma) if eps is not None else 1.0))
            kept.append(all_fixed and sigma_fixed)
        made: dict[str, Any] = {"constant": Constant, "proportional": Proportional, "combined": Combined,
                                "combined2": Combined2, "power": Power}  # fmt: skip
        error: ResidualError
        if kind == "constant" and logs and self.log_data:
            error = Exponential(numbers[0], log_data=True)
        else:
            error = made[kind](*numbers)
        return replace(error, fixed=tuple(n for n, k in zip(error.names, kept, strict=True) if k))

    # -- data ----------------------------------------------------------------------------------------------------

    def _data(self) -> GroupedData:
        frame = self.frame
        roles: dict[str, Any] = dict.fromkeys(_ALL_ROLES)
        predpp = "PK" in self.code
        for column, role in _ROLES.items():
            if column in frame and (predpp or role in ("subject", "time", "response", "mdv", "evid")):
                roles[role] = column
        if "ID" not in frame or "DV" not in frame:
            raise ModelError(f"{self.records.path.name}: $INPUT needs ID and DV.")
        runs = int((frame["ID"].diff().fillna(1) != 0).sum())
        if runs != frame["ID"].nunique():
            raise ModelError(
                f"{self.place.name}: an ID comes back after others; for NONMEM that is another subject. "
                "Number them anew."
            )
        if "TIME" not in frame:
            if predpp:
                raise ModelError(f"{self.records.path.name}: $INPUT needs TIME.")
            frame = frame.assign(TIME=frame.groupby("ID").cumcount().astype(float))
            roles["time"] = "TIME"
        if not predpp and roles["evid"]:
            roles["evid"] = None
            if not roles["mdv"]:
                frame = frame.assign(MDV=(frame["EVID"] != 0).astype(int))
                roles["mdv"] = "MDV"
        frame = self._observed_compartment(frame)
        if predpp and "AMT" in frame:
            rate = frame["RATE"] if "RATE" in frame else 0.0 * frame["AMT"]
            into = frame["CMT"].clip(lower=1) if "CMT" in frame else 1.0 + 0.0 * frame["AMT"]
            for name in self.parts:
                lasting = re.fullmatch(r"D(\d+)", name)
                if lasting is not None and ((frame["AMT"] > 0) & (into == int(lasting.group(1))) & (rate == 0)).any():
                    raise ModelError(
                        f"{self.records.path.name}: {name} is given, and {self.place.name} has doses into that "
                        "compartment with RATE = 0, which are boluses for NONMEM and would last for that time here."
                    )
        if self.occasion:
            roles["occasion"] = self.occasion
        if self.response_column:
            roles["response_id"] = self.response_column
            if self.response_column == "CMT":
                frame = frame.assign(DVID=frame["CMT"])
                roles["response_id"] = "DVID"
        if self.blq:
            roles["censor"] = "CENS"
        used = set(self._columns_used())
        taken = {v for v in roles.values() if v}
        roles["ignore"] = tuple(c for c in frame.columns if c not in used | taken)
        whole = {c: frame[c].astype(int) for c in frame.columns if (frame[c] % 1 == 0).all() and c not in ("DV", "AMT")}
        allow = ("negative time", "subject without dose", "subject without observation", "dose without amount")
        return read_data(frame.assign(**whole), roles=roles, name=self.place.name, allow=allow)

    def _observed_compartment(self, frame: pd.DataFrame) -> pd.DataFrame:
        if "PK" in self.code and "CMT" in frame and self.response_column != "CMT":
            there = set(frame.loc[self._observations(), "CMT"].unique()) - {0.0, float(self.central)}
            uses_f = any("F" in map(str, v.free_symbols) for _, v in self.code["ERROR"])
            if there and uses_f:
                raise ModelError(
                    f"{self.place.name}: observations are of compartment {', '.join(f'{c:g}' for c in sorted(there))}, "
                    f"and $ERROR says F, which is read as that of compartment {self.central}."
                )
        return frame

    def _columns_used(self) -> list[str]:
        found = list(self.structure_.columns)
        for u in self.understood.values():
            for part in u.parts:
                found += [name for name in self.columns if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", part.term)]
        return found


def _number(value: float) -> Any:
    import sympy

    return sympy.Integer(int(value)) if float(value).is_integer() else sympy.Float(value)
