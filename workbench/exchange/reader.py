"""A control stream on its way to a model and data; what cannot be expressed is refused, all at once and by line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sympy
from sympy.core.function import AppliedUndef

from workbench.errors import FileError, ModelError
from workbench.exchange.abbreviated import Fault
from workbench.exchange.compartments import (
    CLOSED,
    GENERAL,
    LINEAR,
    amount,
    dosed_of,
    library_of,
    observed_of,
    rates_of,
    size_of,
)
from workbench.exchange.dataset import data_of
from workbench.exchange.initial import Omega
from workbench.exchange.residuals import Residual, eps_in, residual_of
from workbench.exchange.stream import Records
from workbench.exchange.symbolic import (
    UNSET,
    NoWordsError,
    Program,
    Understood,
    by_record,
    reaching,
    understood,
    words,
)
from workbench.exchange.valued import Understanding, model_of
from workbench.model import Model, Structure, equation, ode

_OF_RESPONSES = ("DVID", "CMT_", "FLAG", "TYPE", "DVTYPE", "YTYPE")
_OF_TRANS = frozenset(
    ("CL", "V", "V1", "V2", "V3", "V4", "Q", "Q2", "Q3", "Q4", "K", "KA", "K12", "K21", "K13", "K31", "K23", "K32",
     "K24", "K42", "VM", "KM", "VSS", "ALPHA", "BETA", "AOB")
)  # fmt: skip
_NO_COLUMNS = ("L2", "PCMT", "CALL", "CONT", "RAW_", "MRG_", "RPT_", "L1", "DATE", "DAT1", "DAT2", "DAT3")
_OF_RECORDS = ("ID", "DV", "AMT", "RATE", "EVID", "MDV", "CMT", "II", "SS", "ADDL", "TIME")
_REFUSED_NAMES = {
    "YLO": "a likelihood above a limit (YLO)", "YUP": "a likelihood below a limit (YUP)",
    "CTLO": "a likelihood above a limit (CTLO)", "CTUP": "a likelihood below a limit (CTUP)",
    "PR_Y": "a probability of one's own (PR_Y)", "XSCALE": "XSCALE", "TSCALE": "TSCALE, another unit of time",
    "MTDIFF": "MTDIFF, times that change", "DV_LOQ": "DV_LOQ", "DV_LAQ": "DV_LAQ",
}  # fmt: skip
_NO_MEANING = {
    "MIXNUM": "a mixture of subpopulations (MIXNUM)", "MIXEST": "a mixture of subpopulations (MIXEST)",
    "NEWL2": "NEWL2", "DOSTIM": "DOSTIM, the time of a lagged dose", "DOSREC": "DOSREC, the record of a lagged dose",
    "TSTATE": "TSTATE", "ISSMOD": "ISSMOD", "IREP": "IREP, the number of a simulation", "NINDR": "NINDR",
    "INDR1": "INDR1", "INDR2": "INDR2", "LIREC": "LIREC", "NDREC": "NDREC", "NEWL1": "NEWL1",
}  # fmt: skip
_STAGES = {"ICALL": 2, "A_0FLG": 1, "COMACT": 0, "ITER_REPORT": 0}
_MOST_LEVELS = 50


class Reader:
    """What a stream says, in the making.

    Parameters
    ----------
    records : Records
    given : Path, optional
        The file of the data, if it is not where $DATA says.
    """

    def __init__(self, records: Records, given: Path | None):
        self.records, self.given = records, given
        self.refused = list(records.refused)
        self.etas = sum(len(o.matrix) for o in records.omegas)
        self.eps = sum(len(o.matrix) for o in records.sigmas)
        self.without_interaction = self.with_laplace = False
        self.made: dict[str, Any] = {}  # columns that the code computes from others, by name
        self.place = Path(records.source.name if records.source is not None else records.path.name)
        self.missing: FileError | None = None
        self.unset: dict[str, int] = {}  # names that are given under a condition only, with their line

    def refuse(self, what: str, line: int = 0) -> None:
        """Note what cannot be expressed."""
        self.refused.append((line, what))

    def line_of(self, pattern: str, *records: str) -> int:
        """The first line that matches, of these records."""
        return self.records.line_of(pattern, records)

    def raise_refused(self) -> None:
        """Refuse, if there is something to be refused."""
        if not self.refused:
            return
        seen = sorted(set(self.refused))
        lines = [f"  - line {n}: {what}" if n else f"  - {what}" for n, what in seen[:50]]
        lines += [f"  - and {len(seen) - 50} more"] if len(seen) > 50 else []
        also = f"\n{self.missing}" if self.missing is not None else ""
        raise ModelError(f"{self.records.path.name} holds what cannot be expressed:\n" + "\n".join(lines) + also)

    # -- the whole -----------------------------------------------------------------------------------------------------

    def read(self) -> tuple[Model, str]:
        """Model at the initial values, and method; if the file of the data is missing, `missing` says so then."""
        records = self.records
        if "PRED" not in records.code and "PK" not in records.code:
            self.refuse("neither $PRED nor $PK")
        if "PK" in records.code and records.advan not in (*CLOSED, *LINEAR, *GENERAL):
            self.refuse(f"ADVAN{records.advan}" if records.advan else "a $PK without ADVAN",
                        self.line_of(r"^\s*[$]SUB"))  # fmt: skip
        if records.advan in (9, 15) and any(name.startswith("E(") for name, _ in records.code.get("AES", [])):
            self.refuse("algebraic equations")
        if "PK" in records.code and "ERROR" not in records.code:
            self.refuse("a $PK without $ERROR")
        for name, drop in zip(records.columns.names, records.columns.dropped, strict=True):
            if name in _NO_COLUMNS and not drop:
                self.refuse(f"the column {name} of $INPUT", self.line_of(rf"\b{name}\b", "INPUT"))
        for (_, name), line in records.lines.items():
            if name in _REFUSED_NAMES:
                self.refuse(_REFUSED_NAMES[name], line)
            elif name.startswith("MTIME("):
                self.refuse("MTIME, a time of change that is a parameter", line)
        method = self._method()
        if records.source is None and not self.refused:
            raise FileError(f"{records.path.name} has no $DATA.")
        self._take_data()
        model: Model | None = None
        try:
            if "PRED" in records.code or {"PK", "ERROR"} <= records.code.keys():
                self._symbols()
                stop = len(self.refused)
                self._understand()
                if stop == len(self.refused) and not self.refused:
                    model = self.model_at([t.value for t in records.thetas], [o.matrix for o in records.omegas],
                                          [s.matrix for s in records.sigmas])  # fmt: skip
        except Fault as fault:
            self.refuse(str(fault), self._where(str(fault)))
        except (TypeError, ArithmeticError, RecursionError, NotImplementedError, ValueError) as error:
            self.refuse(f"an expression that cannot be worked with ({type(error).__name__}: {error})")
        self.raise_refused()
        assert model is not None
        return model, method

    def _where(self, said: str) -> int:
        """The line that a fault without one is probably of."""
        if said.startswith(("Y ", "Y,", "a residual error")):
            record = "ERROR" if "PK" in self.records.code else "PRED"
            return self.records.lines.get((record, "Y"), 0)
        if said.startswith("ADVAN"):
            return self.line_of(r"^\s*[$]SUB")
        word = re.match(r"[A-Z_][A-Z0-9_]*(?:\(\d+\))?", said)
        if word is not None:
            found = [line for (_, name), line in self.records.lines.items() if name == word.group()]
            if found:
                return min(found)
            return self.line_of(rf"(?<!\w){re.escape(word.group())}(?!\w)", "PK", "PRED", "DES", "ERROR")
        return 0

    def _take_data(self) -> None:
        """The records of the data; without their file, columns without any."""
        records = self.records
        kept = [n for n, drop in zip(records.columns.names, records.columns.dropped, strict=True) if not drop]
        self.frame = pd.DataFrame({name: np.zeros(0) for name in kept})
        if records.source is None:
            return
        try:
            self.frame, self.place = data_of(
                records.source, records.columns, records.path, self.given, records.left_out
            )
        except FileError as error:
            self.missing = error
        if "ID" in self.frame and len(self.frame):
            runs = (self.frame["ID"].diff().fillna(1) != 0).cumsum()
            if int(runs.max()) != self.frame["ID"].nunique():  # for NONMEM another subject
                self.frame["ID"] = runs.astype(float)
                records.left_out.append(
                    f"the numbers of {self.place.name}, where an ID comes back after others: subjects are numbered anew"
                )

    def model_at(self, thetas: Sequence[float], omegas: Sequence[Any], sigmas: Sequence[Any]) -> Model:
        """The model at values, of the groups of random effects each."""
        return model_of(self.understanding, self.records, thetas, omegas, sigmas)

    def model_of_matrices(self, thetas: Sequence[float], omega: Any, sigma: Any) -> Model:
        """The model at values, with all random effects in one matrix."""

        def parts(matrix: Any, groups: Sequence[Omega]) -> list[Any]:
            found, n = [], 0
            for group in groups:
                size = len(group.matrix)
                found.append(matrix[n : n + size, n : n + size])
                n += size
            return found

        return self.model_at(thetas, parts(omega, self.records.omegas), parts(sigma, self.records.sigmas))

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
        line = self.line_of(r"^\s*[$]EST")

        def has(word: str) -> bool:
            return any(len(key) >= 4 and word.startswith(key) for key in options)

        if has("LIKELIHOOD") or "-2LL" in options or "-2LOGLIKELIHOOD" in options:
            self.refuse("a likelihood of one's own (LIKELIHOOD, -2LL)", line)
        for word in ("CENTERING", "HYBRID", "ETABARCHECK"):
            if word in options and word != "ETABARCHECK":
                self.refuse(f"$ESTIMATION {word}", line)
        named = options.get("METHOD", options.get("METH", "0"))
        interaction = has("INTERACTION")
        self.with_laplace = has("LAPLACIAN") or has("LAPLACE")
        if named in ("0", "ZERO", "FO", ""):
            return "fo"
        if named in ("1", "FOCE", "FOCEI") or (len(named) >= 4 and "CONDITIONAL".startswith(named)):
            if self.with_laplace:
                self.without_interaction = not interaction
                return "laplace"
            return "focei" if interaction or named == "FOCEI" else "foce"
        if named in ("SAEM", "IMP", "IMPMAP"):
            return "saem" if named == "SAEM" else "importance"
        self.refuse(f"the method {named}", line)
        return "focei"

    # -- names ---------------------------------------------------------------------------------------------------------

    def _symbols(self) -> None:
        """Thetas, random effects and columns, as symbols; effects of a variance of 0 are 0."""
        records = self.records
        symbol = sympy.Symbol
        self.theta = [symbol(f"THETA({i})") for i in range(1, len(records.thetas) + 1)]
        self.eta = [symbol(f"ETA({i})") for i in range(1, self.etas + 1)]
        self.kappas: dict[Any, Any] = {}
        self.columns = {name: np.asarray(self.frame[name]) for name in self.frame.columns}
        if any(s.name == "NEWIND" for code in records.code.values() for _, v in code for s in v.free_symbols):
            ids = np.asarray(self.frame["ID"]) if "ID" in self.frame else np.zeros(0)
            started = np.append(1.0, np.where(np.diff(ids) != 0, 1.0, 2.0))[: len(ids)]
            started[:1] = 0.0
            self._add("NEWIND", started)
        for (_, name), line in records.lines.items():
            if name in records.columns.names and name in self.frame:
                self.refuse(f"{name} is a column of the data that is set", line)
        zeros = {s: sympy.Integer(0) for s in self._zeros(records.omegas, self.eta, "OMEGA")}
        eps = [symbol(f"EPS({i})") for i in range(1, self.eps + 1)]
        zeros |= {s: sympy.Integer(0) for s in self._zeros(records.sigmas, eps, "SIGMA")}
        self.code = {
            record: [(name, self._plain(value, record).xreplace(zeros)) for name, value in lines]
            for record, lines in records.code.items()
        }
        known = {str(s) for s in (*self.theta, *self.eta, *eps)}
        for s in sorted({str(s) for lines in self.code.values() for _, value in lines for s in value.free_symbols}):
            inner = re.fullmatch(r"(THETA|ETA|EPS)\((\d+)\)", s)
            if inner is not None and s not in known:
                of = {"THETA": "THETA", "ETA": "OMEGA", "EPS": "SIGMA"}[inner.group(1)]
                sign = "(EPS|ERR)" if of == "SIGMA" else inner.group(1)
                at = self.line_of(rf"{sign}\s*\(\s*{inner.group(2)}\s*\)", "PK", "PRED", "DES", "ERROR")
                self.refuse(f"{s}, which ${of} does not give", at)

    def _zeros(self, groups: Sequence[Omega], effects: Sequence[Any], name: str) -> list[Any]:
        """Those whose variance is 0."""
        found, at = [], 0
        for group in groups:
            for i in range(len(group.matrix)):
                if group.matrix[i, i] == 0:
                    if len(group.matrix) > 1:
                        self.refuse(f"a block of ${name} with a variance of 0", group.line)
                    found.append(effects[at])
                at += 1
        return found

    def _add(self, name: str, values: Any) -> Any:
        """A column that is computed."""
        self.made[name] = self.columns[name] = values
        return sympy.Symbol(name)

    def _plain(self, value: Any, record: str) -> Any:
        """An expression of a record with what names stand for there."""
        renamed: dict[Any, Any] = {}
        assigned = {name for name, _ in self.records.code[record]}
        for s in value.free_symbols:
            name = self.records.columns.synonyms.get(str(s), str(s))
            if name in _STAGES:
                renamed[s] = sympy.Integer(_STAGES[name])
            elif record in ("ERROR", "PRED") and name in ("EVID", "MDV") and name in self.frame:
                renamed[s] = sympy.Integer(0)  # what matters there are observations
            elif record == "ERROR" and name in ("AMT", "RATE") and name in self.frame:
                renamed[s] = sympy.Integer(0)
            elif name == "TIME" and record in ("ERROR", "PRED"):
                renamed[s] = sympy.Symbol("TIME")
            elif name in _OF_RECORDS and name in self.frame:  # these have a part of their own in the data
                renamed[s] = self._add(f"{name}_", np.asarray(self.frame[name]))
            elif record == "PK" and re.fullmatch(r"A\(\d+\)", name):
                renamed[s] = sympy.Symbol(f"{name} in $PK")
            elif name == "T" and record != "DES":
                renamed[s] = sympy.Symbol(f"T in ${record}")
            elif name != str(s):
                renamed[s] = sympy.Symbol(name)
        if "T" in assigned:
            self.refuse(f"T, which is set in ${record}", self.records.lines.get((record, "T"), 0))
        return value.xreplace(renamed)

    # -- the model -----------------------------------------------------------------------------------------------------

    def _program(self, record: str, start: Program | None = None) -> Program:
        """An empty program, or one that goes on; what a name is where no condition holds is asked of the data."""
        once = {name for name, _ in self.code[record]}
        once -= {n for n in once if sum(name == n for name, _ in self.code[record]) > 1}
        observed = record in ("ERROR", "PRED")

        def settle(name: str, value: Any) -> Any:
            made = self._of_occasion(filled(name, value))
            self.unset.pop(name, None)
            if sympy.Symbol(UNSET) in made.free_symbols:
                self.unset[name] = self.records.lines.get((record, name), 0)
            return made

        def filled(name: str, value: Any) -> Any:
            if sympy.Symbol(UNSET) not in value.free_symbols:
                return value
            if not len(self.frame):
                return _assumed(value)
            try:
                where = self.observed if observed else np.ones(len(self.frame), dtype=bool)
                made, unset = reaching(value, self.columns, where)
                if not unset.any():
                    return made
                if name not in once or not _only_kept(value):
                    return value
                values = by_record(value, {**self.columns, UNSET: np.full(len(self.frame), np.nan)}, len(self.frame))
            except NoWordsError:
                return value
            kept = pd.Series(values).ffill().fillna(0.0)  # NONMEM keeps what a name was, from record to record
            return self._add(name, kept.to_numpy())

        if start is None:
            return Program(settle=settle)
        return Program(dict(start.now), {}, settle, dict(start.sizes))

    @property
    def observed(self) -> Any:
        """Which records are observations."""
        frame = self.frame
        if "MDV" in frame:
            return np.asarray(frame["MDV"] == 0)
        if "EVID" in frame:
            return np.asarray(frame["EVID"] == 0)
        if "AMT" in frame and "PK" in self.records.code:
            return np.asarray(frame["AMT"] == 0)
        return np.ones(len(frame), dtype=bool)

    def _understand(self) -> None:
        """Structure, parameters, residual errors, in terms of thetas and random effects."""
        self.main = "PK" if "PK" in self.code else "PRED"
        self._occasions(self._program(self.main).run(self.code[self.main]))
        main = [(n, v) for n, v in self.code[self.main] if self.main == "PRED" or n not in ("Y", "F_FLAG")]
        eta, kappa = set(self.eta) - set(self.kappas), set(self.kappas.values())
        theta = set(self.theta)

        def is_data(s: Any) -> bool:
            return str(s) in self.columns and str(s) not in ("TIME", "AMT_", "RATE_")  # of these, that of a dose counts

        def understand(value: Any) -> Understood | None:
            if value.atoms(AppliedUndef):  # such as PHI, which has no number
                return None
            return understood(value, theta.__contains__, eta.__contains__, kappa.__contains__, is_data)

        def run(keep: Sequence[str] = ()) -> Program:
            return self._program(self.main).run(main, keep)

        keep = []
        for n, v in run().now.items():
            special = n in ("Y", "F_FLAG") or n.endswith("'")
            u = understand(v) if not special and v.free_symbols & (eta | kappa) else None
            if u is not None and u.typical != 0:  # a random effect alone is a part of a parameter
                keep.append(n)
        wanted = self._wanted()
        while True:
            program = run(keep)
            kept = {n: understand(v) for n, v in program.kept.items()}
            direct = set()
            for n in wanted:
                value = program.now.get(n)
                if value is None or n in kept or not value.free_symbols:
                    continue
                own = all(s in theta | eta | kappa or is_data(s) for s in value.free_symbols)
                if own and understand(value) is not None:
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
            program = run([n for n in keep if n not in shared])
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

    def _wanted(self) -> list[str]:
        """Names of $PK that other records use."""
        if "PK" not in self.code:
            return []
        names = {n for n, _ in self.code["PK"]}
        used = {str(s) for record in ("DES", "ERROR") for _, v in self.code.get(record, []) for s in v.free_symbols}
        direct = frozenset(names) if self.records.advan in LINEAR else _OF_TRANS
        direct = frozenset[str]() if self.code.get("DES") else direct
        special = {n for n in names if re.fullmatch(r"(ALAG|D)\d+|[FRS]\d+|S[0C]", n)}
        behind = {str(s) for n, v in self.code["PK"] if n in special for s in v.free_symbols}
        return sorted(n for n in names if n in used | direct | special | behind and not n.startswith("A_0"))

    def _occasions(self, program: Program) -> None:
        """Which random effects are those of occasions, and by which column."""
        groups: list[list[list[Any]]] = []
        at = 0
        for group in self.records.omegas:
            n = len(group.matrix)
            if group.same:
                groups[-1].append(self.eta[at : at + n])
            else:
                groups.append([self.eta[at : at + n]])
            at += n
        self.occasion: str | None = None
        repeated = [g for g in groups if len(g) > 1]
        if not repeated:
            return
        all_of = {e for g in repeated for members in g for e in members}
        concerned = [v for v in program.now.values() if v.free_symbols & all_of]
        asked = {s for v in concerned for p in v.atoms(sympy.Piecewise, sympy.Rel) for s in p.free_symbols}
        columns = {s for s in asked if str(s) in self.columns}
        direct = {s for v in concerned for s in v.free_symbols if str(s) in self.columns}
        for column in sorted(columns or direct, key=str):
            levels = self._levels(column, concerned)
            if len(levels) <= _MOST_LEVELS and self._by_occasion(program, repeated, all_of, column, levels):
                self.occasion = str(column)
                return
        line = self.line_of(r"\bSAME\b", "OMEGA")
        self.refuse("$OMEGA SAME for what is not one random effect for each occasion of a column", line)
        raise Fault("random effects of occasions")

    def _levels(self, column: Any, concerned: Sequence[Any]) -> list[float]:
        """The values of a column; without data those that conditions compare it with."""
        if len(self.frame):
            return [float(v) for v in np.unique(self.columns[str(column)])]
        found = set()
        for value in concerned:
            for relation in value.atoms(sympy.Rel):
                if column in relation.free_symbols:
                    found |= {float(a) for a in relation.args if a.is_number}
        return sorted(found) or [1.0]

    def _by_occasion(self, program: Any, groups: Any, all_of: set[Any], column: Any, levels: Sequence[float]) -> bool:
        kappas: dict[Any, Any] = {}
        for group in groups:
            for member in range(len(group[0])):
                kappa = sympy.Symbol(f"KAPPA({str(group[0][member])[4:-1]})")
                kappas |= {members[member]: kappa for members in group}
        for value in program.now.values():
            if not value.free_symbols & all_of:
                continue
            alike = set()
            taken: list[Any] = []
            for level in levels:
                there = value.xreplace({column: _number(level)})
                there = there.doit() if hasattr(there, "doit") else there
                there = sympy.piecewise_fold(there) if there.has(sympy.Piecewise) else there
                found = there.free_symbols & all_of
                if len({kappas[e] for e in found}) < len(found):
                    return False
                if not found:
                    return False
                taken += sorted(found, key=str)
                alike.add(there.xreplace({e: kappas[e] for e in found}))
            if len(alike) != 1 or len(set(taken)) < len(taken):
                return False  # two occasions that have one random effect are one
        self.kappas, self.levels, self.column = kappas, levels, column
        return True

    def _of_occasion(self, value: Any) -> Any:
        """A value with the effect of the first occasion in place of each; conditions on the occasion go with them."""
        if not value.free_symbols & self.kappas.keys():
            return value
        return value.xreplace({self.column: _number(self.levels[0])}).doit().xreplace(self.kappas)

    def _parts(self, program: Program) -> dict[str, Any]:
        """What the structure and Y are made of, by name, in terms of what is kept."""
        values = program.now
        if "PK" not in self.code:
            if "Y" not in values:
                raise Fault("$PRED without Y")
            parts = {"Y": values["Y"]}
            if "F_FLAG" in values:
                parts["F_FLAG"] = values["F_FLAG"]
            return parts
        advan, parts = self.records.advan, {}
        size = size_of(advan, self.records.compartments, [n for n, _ in self.code.get("DES", [])])
        self.size, self.dosed = size, dosed_of(advan, self.records.compartments)
        for text in self.records.compartments:
            if (odd := re.search(r"INITIALOFF|NOOFF|EQUIL", text)) is not None:
                self.refuse(f"$MODEL {odd.group()}", self.line_of(odd.group(), "MODEL"))
        if advan in GENERAL:
            if "DES" not in self.code:
                raise Fault(f"ADVAN{advan} without $DES")
            des = self._program("DES", program).run(self.code["DES"])
            for i in range(1, size + 1):
                if f"DADT({i})" not in des.now:
                    raise Fault(f"$DES without DADT({i})")
                parts[f"DADT({i})"] = des.now[f"DADT({i})"]
        else:
            parts |= rates_of(advan, self.records.trans, values, size)
        errors = self._program("ERROR", program)
        errors.now["F"] = self._amount_observed(values)
        errors.run(self.code["ERROR"])
        if "Y" not in errors.now:
            raise Fault("$ERROR without Y")
        parts["Y"] = errors.now["Y"]
        if "F_FLAG" in errors.now:
            parts["F_FLAG"] = errors.now["F_FLAG"]
        for name, value in values.items():
            if re.fullmatch(r"(ALAG|D|F|R|A_0\()\d+\)?", name) and name not in ("F0", f"F{size + 1}"):
                number = int(re.sub(r"\D", "", name.removeprefix("A_0")))
                if number > size:
                    raise Fault(f"{name} of {size} compartments")
                parts[name] = value
        self._rates(parts)
        return parts

    def _amount_observed(self, values: Mapping[str, Any]) -> Any:
        """F: the scaled amount of the compartment that is observed, which CMT of the record may name."""
        default = observed_of(self.records.advan, self.records.compartments)

        def scaled(n: int) -> Any:
            scale = values.get(f"S{n}", values.get("SC") if n == default else None)
            return amount(n) if scale is None else amount(n) / scale

        self.central = default
        if "CMT" not in self.frame:
            return scaled(default)
        there = sorted({int(c) for c in self.frame.loc[self.observed, "CMT"].unique()})
        if any(c < 0 or c > self.size for c in there):
            raise Fault(f"observations of compartment {next(c for c in there if c < 0 or c > self.size)}")
        named = {c or default for c in there}
        if len(named) <= 1:
            self.central = next(iter(named), default)
            return scaled(self.central)
        column = self._add("CMT_", np.asarray(self.frame["CMT"]))
        return sympy.Piecewise(*((scaled(c or default), sympy.Eq(column, c)) for c in there[:-1]),
                               (scaled(there[-1] or default), True))  # fmt: skip

    def _rates(self, parts: dict[str, Any]) -> None:
        """Doses at a rate that is a parameter (RATE = -1, R1): over the time that the amount takes."""
        rates = [name for name in parts if re.fullmatch(r"R\d+", name)]
        given = np.asarray(self.frame["RATE"]) if "RATE" in self.frame else np.zeros(len(self.frame))
        for name in rates:
            rate = parts.pop(name)
            if not (given == -1).any():
                continue
            number = name[1:]
            share = parts.get(f"F{number}", sympy.Integer(1))
            lasting = self._add("AMT_", np.asarray(self.frame["AMT"])) * share / rate
            if f"D{number}" in parts and (given == -2).any():
                column = self._add("RATE_", given)
                lasting = sympy.Piecewise((lasting, sympy.Eq(column, -1)), (parts[f"D{number}"], True))
            parts[f"D{number}"] = lasting

    def columns_used(self) -> set[str]:
        """The columns that the model needs."""
        found = set(self.understanding.structure.columns)
        for u in self.understood.values():
            for part in u.parts:
                found |= {name for name in self.columns if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", part.term)}
        return found

    # -- residual errors -----------------------------------------------------------------------------------------------

    def _errors(self) -> None:
        """Predictions and residual errors, one for each response."""
        y = self.parts.pop("Y")
        flag = self.parts.pop("F_FLAG", None)
        self.censored: Any = None
        self.limits: Any = None
        if flag is not None and flag != 0:
            y = self._below_limit(y, flag)
        self.response_column: str | None = None
        try:
            residual_of(y, self.theta)
            answers = [y]
        except Fault:
            answers = self._by_response(y)
        self.residuals: list[Residual] = []
        for answer in answers:
            if sympy.Symbol(UNSET) in answer.free_symbols:
                raise Fault("Y, which is given under a condition only")
            residual = residual_of(answer, self.theta)
            self.residuals.append(residual)
            if len(eps_in(answer)) > 1:
                self._check_apart(eps_in(answer))
            if self.without_interaction and residual.kind != "constant":
                self.refuse("Laplace without interaction where the residual error depends on the prediction",
                            self.line_of("LAPL", "ESTIMATION"))  # fmt: skip
        if any(r.of_positive for r in self.residuals):
            self.records.left_out.append("what the residual error is where the prediction is not positive")

    def _by_response(self, y: Any) -> list[Any]:
        """Y for each response: by a column that conditions ask for, if the residual error depends on it."""
        compared = {s for p in y.atoms(sympy.Rel) for s in p.free_symbols if str(s) in self.columns}
        slopes = {s for e in eps_in(y) for p in sympy.diff(y, e).atoms(sympy.Rel) for s in p.free_symbols}
        found = sorted((s for s in compared if str(s) in _OF_RESPONSES or (s in slopes and str(s) != "TIME")), key=str)
        if not found:
            return [y]
        if len(self.frame):
            rows = np.column_stack([self.columns[str(s)] for s in found])[self.observed]
        else:
            rows = np.array([[level] for level in self._levels(found[0], [y])]) if len(found) == 1 else np.zeros((0, 0))
        levels = np.unique(rows, axis=0)
        if not len(levels) or len(levels) > _MOST_LEVELS:
            return [y]
        answers: dict[Any, list[int]] = {}
        for i, level in enumerate(levels):
            at = {s: _number(v) for s, v in zip(found, level, strict=True)}
            answers.setdefault(sympy.piecewise_fold(y.xreplace(at).doit()), []).append(i)
        if len(answers) > 1:
            if len(found) == 1 and len(answers) == len(levels):
                self.response_column = str(found[0])
            else:
                of = {i: n for n, members in enumerate(answers.values(), 1) for i in members}
                columns = np.column_stack([self.columns[str(s)] for s in found])
                numbers = np.ones(len(self.frame))
                for i, level in enumerate(levels):
                    numbers[(columns == level).all(axis=1)] = of[i]
                self._add("RESPONSE_", numbers)
                self.response_column = "RESPONSE_"
        return list(answers)

    def _below_limit(self, y: Any, flag: Any) -> Any:
        """M3: what is measured; elsewhere Y must be the probability to lie below a limit."""
        line = self.line_of(r"\bF_FLAG\b", "ERROR", "PRED")
        refusal = "F_FLAG for what is not M3: by columns of the data, Y = PHI((limit - IPRED)/W)"
        if not len(self.frame):
            self.refuse("F_FLAG, without data that say for which records", line)
            return y
        try:
            flags = by_record(flag, self.columns, len(self.frame))
            below, rest = self.observed & (flags == 1), self.observed & (flags == 0)
            if (below | rest).sum() < self.observed.sum():
                raise NoWordsError("F_FLAG")
            if not below.any():
                return _taken(y, self.columns, rest)
            measured, chance = _taken(y, self.columns, rest), _taken(y, self.columns, below)
            limit, shift = self._limit(measured, chance)
            limits = by_record(limit, {**self.columns, "DV_": np.asarray(self.frame["DV"])}, len(self.frame))
        except (NoWordsError, Fault):
            self.refuse(refusal, line)
            return y
        if not self.with_laplace:
            self.refuse("F_FLAG without LAPLACIAN", self.line_of(r"^\s*[$]EST"))
        if shift:
            self.records.left_out.append(f"{shift:g}, which is added to a probability")
        self.censored, self.limits = below, limits
        return measured

    def _limit(self, measured: Any, chance: Any) -> tuple[Any, float]:
        """The limit of PHI((limit - f)/W), an expression of data, and what is added to the probability."""
        shift, rest = chance.as_coeff_Add()
        if not 0 <= shift <= 1e-8 or rest.func.__name__ != "PHI":
            raise Fault("F_FLAG")
        eps = eps_in(measured)
        if len(eps) != 1:
            raise Fault("F_FLAG")
        number = int(str(eps[0])[4:-1])
        f, slope = measured.xreplace({eps[0]: sympy.Integer(0)}), sympy.diff(measured, eps[0])
        variance = sympy.Symbol(f"SIGMA({number},{number})")
        argument = rest.args[0]
        if variance in argument.free_symbols:
            positive = sympy.Symbol("VARIANCE", positive=True)
            argument, slope = argument.xreplace({variance: positive}), slope * sympy.sqrt(positive)
        elif not self._is_one(number):
            raise Fault("F_FLAG")
        limit = sympy.simplify(argument * slope + f)
        if any(str(s) not in self.columns for s in limit.free_symbols):
            raise Fault("F_FLAG")
        return limit, float(shift)

    def _is_one(self, number: int) -> bool:
        group, at = self._sigma(number)
        return group.fixed and group.matrix[at, at] == 1.0

    def _sigma(self, number: int) -> tuple[Omega, int]:
        """The group of an EPS, and its place there."""
        at = number - 1
        for group in self.records.sigmas:
            if at < len(group.matrix):
                return group, at
            at -= len(group.matrix)
        raise Fault(f"EPS({number}), which $SIGMA does not give")

    def _check_apart(self, eps: Sequence[Any]) -> None:
        """Refuse EPS of one Y that are correlated."""
        places = [self._sigma(int(str(e)[4:-1])) for e in eps]
        for i, (group, at) in enumerate(places):
            for other, there in places[:i]:
                if other is group and group.matrix[at, there] != 0:
                    self.refuse("correlated residual errors in one Y ($SIGMA BLOCK)", group.line)

    # -- structure -----------------------------------------------------------------------------------------------------

    def _structure(self) -> None:
        """The structure, and which parameters it has."""
        predictions = [r.prediction for r in self.residuals]
        structure: Structure | None = None
        pseudo: dict[str, Any] = {}
        rename: dict[str, str] = {}
        logs = False
        if "PK" in self.code and "DES" not in self.code and len(predictions) == 1:
            found = library_of(self.records.advan, self.records.trans, self.parts, predictions[0],
                               lambda s: str(s) in self.understood)  # fmt: skip
            if found is not None and set(found[1]) == set(self.understood) and self._fits(found[1]):
                structure, rename, logs = found
        if structure is None:
            structure, pseudo = self._written(predictions)
        self.understanding = Understanding(
            structure, {rename.get(n, n): u for n, u in self.understood.items()}, pseudo, list(self.theta),
            list(self.eta), dict(self.kappas), list(self.residuals), logs, "M3" if self.censored is not None else None,
        )  # fmt: skip

    def _fits(self, names: Mapping[str, str]) -> bool:
        """Whether the doses are those that a structure of the library has."""
        outside = {*self.theta, *self.eta, *self.kappas.values()}
        used = {s for v in (*self.parts.values(), *(r.prediction for r in self.residuals)) for s in v.free_symbols}
        if used & outside or any(str(s) in self.columns for s in used):
            return False
        doses = np.asarray(self.frame["AMT"] > 0) if "AMT" in self.frame else np.zeros(0, dtype=bool)
        into = np.asarray(self.frame["CMT"]) if "CMT" in self.frame else np.zeros(len(self.frame))
        into = np.where(into == 0, self.dosed, into)
        depot = self.records.advan in (2, 4, 12)
        if "Tk0" in names.values():
            coded = np.asarray(self.frame["RATE"]) if "RATE" in self.frame else np.zeros(len(self.frame))
            if depot or not (coded[doses] == -2).all():
                return False
        most = 2 if depot else 1
        if (into[doses] > most).any() or self.central != most:
            return False
        beside = {name for name in self.parts if re.fullmatch(r"(ALAG|F|D)1", name)}
        return not (beside and depot and (into[doses] == 2).any())

    def _written(self, predictions: Sequence[Any]) -> tuple[Structure, dict[str, Any]]:
        """Equations, or differential equations, as text; and the thetas and effects that are parameters of it."""
        names: dict[Any, Any] = {}
        used = {s for v in (*self.parts.values(), *predictions) for s in v.free_symbols}
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
        pseudo = {str(new): old for old, new in names.items() if str(old).startswith(("THETA", "ETA", "KAPPA"))}
        covariates = sorted({str(s) for s in used if str(s) in self.columns} - {"TIME"})
        names[sympy.Symbol("TIME")] = sympy.Symbol("t")
        unknown = {str(s) for s in used} - set(map(str, names)) - set(self.columns) - set(self.understood) - {UNSET}
        for name in sorted(name for name in unknown if not re.fullmatch(r"(THETA|ETA|EPS)\(\d+\)", name)):
            inner = name.partition(" in $")[0]
            spelled = re.escape(inner.removesuffix("_"))
            line = self.line_of(rf"(?<!\w){spelled}(?!\w)", "PK", "PRED", "DES", "ERROR")
            self.refuse(_NO_MEANING.get(name, name if inner != name else f"{name}, which is given nowhere"), line)
        if unknown:
            return equation("0*t"), {}
        states = [n for n in self.parts if n.startswith("DADT(")]

        def text(name: str, value: Any) -> str:
            try:
                return words(value.xreplace(names))
            except NoWordsError as error:
                if sympy.Symbol(UNSET) in value.free_symbols:
                    for unset, line in self.unset.items():
                        self.refuse(f"{unset}, which is given under a condition only", line)
                    return "0"
                self.refuse(f"{error}, which has no meaning in equations here", self._where_of(str(error), name))
                return "0"

        outputs = {f"response{i}" if len(predictions) > 1 else "response": text("Y", p)
                   for i, p in enumerate(predictions, 1)}  # fmt: skip
        structure: Structure
        if not states:
            if self.refused:
                return equation("0*t"), {}
            structure = (
                equation(outputs["response"], covariates) if len(outputs) == 1
                else equation("", covariates, responses=outputs)
            )  # fmt: skip
            return structure, pseudo
        lines = [f"d/dt A{n[5:-1]} = {text(n, self.parts[n])}" for n in states]
        lines += [f"A{n[4:-1]}(0) = {text(n, v)}" for n, v in self.parts.items() if n.startswith("A_0(")]
        tables: dict[str, Any] = {
            word: {f"A{n[len(sign) :]}": text(n, v) for n, v in self.parts.items() if re.fullmatch(rf"{sign}\d+", n)}
            for word, sign in (("lag", "ALAG"), ("bioavailability", "F"), ("duration", "D"))
        }
        if self.refused:
            return equation("0*t"), {}
        tolerance = max(10.0 ** -max(8, self.records.rtol or 8), 1e-12)
        return ode("\n".join(lines), response=outputs, covariates=covariates, rtol=tolerance, **tables), pseudo

    def _where_of(self, said: str, name: str) -> int:
        """The line of a function that has no words, or of the name whose value needs it."""
        function = said.partition("(")[0]
        if re.fullmatch(r"[A-Z]\w*", function):
            return self.line_of(rf"\b{function}\s*\(", "PK", "PRED", "DES", "ERROR")
        return min((line for (_, n), line in self.records.lines.items() if n == name), default=0)


def _assumed(value: Any) -> Any:
    """Without data: the last condition of a choice is taken to be all the rest."""
    if not isinstance(value, sympy.Piecewise) or value.args[-1][0] != sympy.Symbol(UNSET) or len(value.args) < 3:
        return value
    *branches, (last, _), _ = value.args
    return sympy.Piecewise(*branches, (last, True))


def _only_kept(value: Any) -> bool:
    """Whether a name is where it is not set what it was before, and nothing is made of that."""
    unset = sympy.Symbol(UNSET)
    if isinstance(value, sympy.Piecewise):
        return all(_only_kept(v) and unset not in c.free_symbols for v, c in value.args)
    return bool(value == unset or unset not in value.free_symbols)


def _taken(value: Any, columns: Mapping[str, Any], where: Any) -> Any:
    """Without the branches that none of these records takes."""
    if not isinstance(value, sympy.Piecewise):
        return value
    branches: list[Any] = []
    rest = where
    for part, condition in value.args:
        held = rest & by_record(condition, columns, len(where)).astype(bool)
        rest = rest & ~held
        if held.any():
            branches.append((_taken(part, columns, held), condition))
    if branches and not rest.any():
        branches[-1] = (branches[-1][0], sympy.true)
    return sympy.Piecewise(*branches)


def _number(value: float) -> Any:
    return sympy.Integer(int(value)) if float(value).is_integer() and abs(value) < 1e6 else sympy.Float(value)
