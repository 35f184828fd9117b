"""What NONMEM does with a control stream, worked out by other means than those that read it.

The code is carried out record by record as Python, with numbers: names keep their values from record to record, $PK is
called with the record that is advanced to, compartments are integrated by scipy. From predictions and variances at
given random effects comes the objective, with differences for derivatives.
"""

from __future__ import annotations

import math
import re

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import minimize
from scipy.stats import norm

_SIGNS = {"EQ": "==", "EQN": "==", "NE": "!=", "NEN": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">=",
          "AND": " and ", "OR": " or ", "NOT": " not "}  # fmt: skip
_CENTRAL = {1: 1, 2: 2, 3: 1, 4: 2, 11: 1, 12: 2, 10: 1}


def _expression(text: str) -> str:
    text = re.sub(r"\.(EQN?|NEN?|LT|LE|GT|GE|AND|OR|NOT)\.", lambda m: _SIGNS[m.group(1)], text)
    text = text.replace("/=", "!=")
    text = re.sub(r"(?<=[\d.])D(?=[+-]?\d)", "E", text)
    return re.sub(r"\b(THETA|ETA|EPS|ERR|A|DADT|A_0)\((\d+)\)", lambda m: f"{m[1].replace('ERR', 'EPS')}[{m[2]}]", text)


def _closing(text: str, at: int) -> int:
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    raise ValueError(text)


def _python(lines: list[str]) -> str:
    made, indent = [], 0

    def put(line: str) -> None:
        made.append("  " * indent + line)

    def statement(text: str) -> None:
        nonlocal indent
        if re.fullmatch(r"END\s*IF", text):
            indent -= 1
        elif text == "ELSE":
            indent -= 1
            put("else:")
            indent += 1
        elif found := re.match(r"(ELSE\s*)?IF\s*(?=\()", text):
            end = _closing(text, found.end())
            condition, rest = _expression(text[found.end() : end + 1]), text[end + 1 :].strip()
            indent -= bool(found.group(1))
            put(f"{'elif' if found.group(1) else 'if'} {condition}:")
            indent += 1
            if rest != "THEN":
                statement(rest)
                indent -= 1
        elif text.startswith("EXIT") or text.startswith("("):
            put("pass")
        else:
            put(_expression(text))

    carried = ""
    for line in lines:
        text = (carried + " " + line.partition(";")[0].strip().upper()).strip()
        carried = text[:-1] if text.endswith("&") else ""
        if text and not carried:
            statement(text)
    return "\n".join(made) or "pass"


class Stream:
    """A control stream that is carried out; thetas, Ω and Σ are stated, not read."""

    def __init__(self, text, data, theta, omega, sigma):
        self.data, self.theta = data, theta
        self.omega, self.sigma = np.atleast_2d(omega).astype(float), np.atleast_2d(sigma).astype(float)
        if self.omega.shape[0] == 1 != self.omega.size:
            self.omega = np.diag(self.omega[0])
        if self.sigma.shape[0] == 1 != self.sigma.size:
            self.sigma = np.diag(self.sigma[0])
        code: dict[str, list[str]] = {}
        name = ""
        for line in text.splitlines():
            if found := re.match(r"\s*\$(\w+)(.*)", line):
                name, line = found.group(1).upper(), found.group(2)  # noqa: PLW2901
                name = next((n for n in ("PK", "PRED", "DES", "ERROR") if n.startswith(name)), name)
            code.setdefault(name, []).append(line)
        self.code = {n: compile(_python(code[n]), n, "exec") for n in ("PK", "PRED", "DES", "ERROR") if n in code}
        advan = re.search(r"ADVAN\s*=?\s*(?:ADVAN)?(\d+)", text.upper())
        self.advan = int(advan.group(1)) if advan else 0
        trans = re.search(r"TRANS\s*=?\s*(?:TRANS)?(\d+)", text.upper())
        self.trans = int(trans.group(1)) if trans else 1
        self.size = {1: 1, 2: 2, 3: 2, 4: 3, 11: 3, 12: 4, 10: 1}.get(self.advan, 0)
        if not self.size and self.advan:
            self.size = max(len(re.findall(r"\bCOMP\w*\s*=?\s*\(?[A-Z]", text.upper())),
                            *map(int, re.findall(r"DADT\((\d+)\)", text.upper()) or [0]))  # fmt: skip
        named = re.findall(r"\bCOMP\w*\s*=?\s*\(?(\w+(?:,\w+)*)", text.upper())
        marked = [n for n, c in enumerate(named, 1) if "DEFOBS" in c] + [
            n for n, c in enumerate(named, 1) if c == "CENTRAL"
        ]
        self.central = _CENTRAL.get(self.advan) or (marked or [1])[0]
        self.names = {
            "EXP": math.exp, "DEXP": math.exp, "LOG": math.log, "SQRT": math.sqrt, "ABS": abs, "MIN": min, "MAX": max,
            "LOG10": math.log10, "PHI": norm.cdf, "INT": math.trunc, "MOD": math.fmod, "SIN": math.sin,
        }  # fmt: skip

    # -- compartments --------------------------------------------------------------------------------------------------

    def rates(self, names):
        """A function of (t, amounts) that is the derivative."""
        n = self.size
        if "DES" in self.code:

            def of_des(t, a):
                names["T"], names["A"], names["DADT"] = t, np.append(0.0, a), np.zeros(n + 1)
                exec(self.code["DES"], names)
                return names["DADT"][1:]

            return of_des
        if self.advan == 10:
            return lambda t, a: np.array([-names["VM"] * a[0] / (names["KM"] + a[0])])
        matrix = np.zeros((n + 2, n + 2))  # k[i, j] from i to j

        def flow(i, j, k):
            matrix[i, i] -= k
            if 1 <= j <= n:
                matrix[j, i] += k

        if self.advan in (5, 7):
            for name, k in list(names.items()):
                if found := re.fullmatch(r"K(\d)(\d)|K(\d+)T(\d+)", name):
                    i, j = (int(g) for g in found.groups() if g)
                    flow(i, j if j <= n else 0, k)
        else:
            depot = self.advan in (2, 4, 12)
            c = 1 + depot
            if depot:
                flow(1, 2, names["KA"])
            others = range(c + 1, n + 1)
            if self.trans == 1:
                flow(c, 0, names["K"])
                for o in others:
                    flow(c, o, names[f"K{c}{o}"])
                    flow(o, c, names[f"K{o}{c}"])
            elif self.trans == 2:
                flow(c, 0, names["CL"] / names["V"])
            elif self.trans == 3:
                flow(c, 0, names["CL"] / names["V"])
                flow(c, c + 1, names["Q"] / names["V"])
                flow(c + 1, c, names["Q"] / (names["VSS"] - names["V"]))
            elif self.trans == 4:
                v = names[f"V{c}"]
                flow(c, 0, names["CL"] / v)
                for o in others:
                    q = names["Q" if len(others) == 1 else f"Q{o}"]
                    flow(c, o, q / v)
                    flow(o, c, q / names[f"V{o}"])
            else:
                raise NotImplementedError
        inner = matrix[1 : n + 1, 1 : n + 1]
        return inner

    def advance(self, names, amounts, infusions, start, end):
        """Amounts at `end`; `infusions`: (compartment, rate, end)."""
        rates = self.rates(names)
        at = start
        while at < end:
            stop = min([end, *(e for _, _, e in infusions if e > at + 1e-12)])
            into = np.zeros(self.size)
            for c, rate, e in infusions:
                if e > at + 1e-12:
                    into[c - 1] += rate
            if callable(rates):
                solved = solve_ivp(
                    lambda t, a, into=into: rates(t, a) + into, (at, stop), amounts, rtol=1e-10, atol=1e-11,
                    method="LSODA",
                )  # fmt: skip
                amounts = solved.y[:, -1]
            else:
                n = self.size
                whole = np.zeros((n + 1, n + 1))
                whole[:n, :n], whole[:n, n] = rates, into
                amounts = (expm(whole * (stop - at)) @ np.append(amounts, 1.0))[:n]
            at = stop
        return amounts

    def dose(self, names, row, time):
        """(time, compartment, amount, rate) of the doses that a record gives."""
        c = int(row.get("CMT", 0)) or 1
        amount = row["AMT"] * names.get(f"F{c}", 1.0)
        lag = names.get(f"ALAG{c}", 0.0)
        rate = row.get("RATE", 0.0)
        lasting = 0.0
        if rate > 0:
            lasting = amount / rate
        elif rate == -1:
            lasting = amount / names[f"R{c}"]
        elif rate == -2:
            lasting = names[f"D{c}"]
        times = [time + lag + k * row.get("II", 0.0) for k in range(int(row.get("ADDL", 0)) + 1)]
        if row.get("SS", 0):
            times = [time + lag - k * row["II"] for k in range(40, 0, -1)] + times
        return [(t, c, amount, lasting) for t in times]

    # -- records -------------------------------------------------------------------------------------------------------

    def subject(self, rows, eta, first=True):
        """DV, and Y as a function of EPS, of the observations of a subject."""
        found = []
        names = dict(self.names)
        names |= {"THETA": np.append(0.0, self.theta), "ETA": np.append(0.0, eta), "EPS": np.zeros(len(self.sigma) + 1),
                  "A_0": np.zeros(self.size + 1), "A_0FLG": 1, "ICALL": 2, "ERR": None}  # fmt: skip
        amounts, infusions, waiting, time = np.zeros(self.size), [], [], None
        for k, row in enumerate(rows):
            names |= row
            names["NEWIND"] = 2 if k else (0 if first else 1)
            if "PRED" in self.code:
                names["PHI_"] = None
                self._observe("PRED", names, row, found)
                continue
            names["A"] = np.append(0.0, amounts)
            exec(self.code["PK"], names)
            evid = row.get("EVID", 1 if row.get("AMT", 0) > 0 else 0)
            if time is None:
                time = row["TIME"]
                amounts = names["A_0"][1:].copy()
            while waiting and min(waiting)[0] <= row["TIME"] + 1e-12 and evid not in (3, 4):
                waiting.sort()
                t, c, amount, lasting = waiting.pop(0)
                amounts = self.advance(names, amounts, infusions, time, max(t, time))
                time = max(t, time)
                amounts, infusions = self._enter(amounts, infusions, t, c, amount, lasting)
            amounts = self.advance(names, amounts, infusions, time, row["TIME"])
            time = row["TIME"]
            if evid in (3, 4):
                amounts, infusions, waiting = np.zeros(self.size), [], []
            if evid in (1, 4) and row["AMT"] > 0:
                doses = self.dose(names, row, time)
                if row.get("SS", 0):
                    back = min(d[0] for d in doses)
                    state, running = np.zeros(self.size), []
                    at = back
                    for t, c, amount, lasting in [d for d in doses if d[0] <= time + 1e-12]:
                        state = self.advance(names, state, running, at, t)
                        at = t
                        state, running = self._enter(state, running, t, c, amount, lasting)
                    amounts, infusions = self.advance(names, state, running, at, time), running
                    doses = [d for d in doses if d[0] > time + 1e-12]
                waiting += doses
                for t, c, amount, lasting in sorted(d for d in waiting if d[0] <= time + 1e-12):
                    amounts, infusions = self._enter(amounts, infusions, t, c, amount, lasting)
                waiting = [d for d in waiting if d[0] > time + 1e-12]
            names["A"] = np.append(0.0, amounts)
            c = int(row.get("CMT", 0)) if evid == 0 else 0
            c = c or self.central
            names["F"] = amounts[c - 1] / names.get(f"S{c}", names.get("SC", 1.0))
            self._observe("ERROR", names, row, found)
        return found

    def _enter(self, amounts, infusions, t, c, amount, lasting):
        amounts = amounts.copy()
        if lasting > 0:
            return amounts, [*infusions, (c, amount / lasting, t + lasting)]
        amounts[c - 1] += amount
        return amounts, infusions

    def _observe(self, record, names, row, found):
        observed = row.get("MDV", 1 if row.get("EVID", 0) or row.get("AMT", 0) > 0 else 0) == 0
        if not observed:
            exec(self.code[record], names)
            return
        n, step = len(self.sigma), 1e-4
        before = dict(names)

        def y(eps):
            there = dict(before)
            there["EPS"] = np.append(0.0, eps)
            exec(self.code[record], there)
            return float(there["Y"]), there

        f, after = y(np.zeros(n))
        slopes = np.array([(y(step * e)[0] - y(-step * e)[0]) / (2 * step) for e in np.eye(n)])
        names.update(after)
        found.append((row["DV"], f, float(slopes @ self.sigma @ slopes), after.get("F_FLAG", 0)))

    def joint(self, rows, eta, first=True, variances=None):
        """-2 log of the likelihood given random effects, without constants; `variances`: those of no random effects."""
        found = self.subject(rows, eta, first)
        total = 0.0
        for i, (dv, f, r, flag) in enumerate(found):
            r = r if variances is None else variances[i]  # noqa: PLW2901
            total += -2 * math.log(f) if flag == 1 else (dv - f) ** 2 / r + math.log(r)
        return total

    def objective(self, method="focei"):
        """NONMEM's objective: FOCEI (or FOCE, Laplace) as in Wang 2007, with differences for derivatives."""
        total = 0.0
        used = [i for i in range(len(self.omega)) if self.omega[i, i] > 0]
        omega = self.omega[np.ix_(used, used)]
        inverse = np.linalg.inv(omega)

        def full(eta):
            made = np.zeros(len(self.omega))
            made[used] = eta
            return made

        for k, (_, group) in enumerate(self.data.groupby("ID", sort=False)):
            rows = group.to_dict("records")

            typical = self._at(rows, full(np.zeros(len(used))), k)[1] if method == "foce" else None

            def inner(eta, rows=rows, k=k, typical=typical):
                return self.joint(rows, full(eta), k == 0, typical) + eta @ inverse @ eta

            start = np.zeros(len(used))
            mode = minimize(inner, start, method="BFGS", options={"gtol": 1e-6}).x
            n, step = len(used), 1e-4
            if method == "laplace":
                step = 2e-3
                hessian = np.array([[(inner(mode + step * (a + b)) - inner(mode + step * (a - b))
                                      - inner(mode - step * (a - b)) + inner(mode - step * (a + b))) / (4 * step**2)
                                     for b in np.eye(n)] for a in np.eye(n)]) / 2  # fmt: skip
            else:
                r = self._at(rows, full(mode), k)[1] if typical is None else typical
                hessian = inverse.copy()
                up = [self._at(rows, full(mode + step * e), k) for e in np.eye(n)]
                down = [self._at(rows, full(mode - step * e), k) for e in np.eye(n)]
                g = np.array([(u[0] - d[0]) / (2 * step) for u, d in zip(up, down, strict=True)])
                h = np.array([(u[1] - d[1]) / (2 * step) for u, d in zip(up, down, strict=True)])
                hessian = hessian + (g / r) @ g.T + (0.5 * (h / r**2) @ h.T if typical is None else 0.0)
            total += inner(mode) + np.linalg.slogdet(omega)[1] + np.linalg.slogdet(hessian)[1]
        return total

    def first_order(self):
        """NONMEM's objective of the first-order method: linear in random effects, around 0."""
        total, step = 0.0, 1e-4
        n = len(self.omega)
        for k, (_, group) in enumerate(self.data.groupby("ID", sort=False)):
            rows = group.to_dict("records")
            dv = np.array([v for v, *_ in self.subject(rows, np.zeros(n), k == 0)])
            f, r = self._at(rows, np.zeros(n), k)
            slopes = [self._at(rows, step * e, k)[0] - self._at(rows, -step * e, k)[0] for e in np.eye(n)]
            g = np.array(slopes).T / (2 * step)
            c = g @ self.omega @ g.T + np.diag(r)
            total += np.linalg.slogdet(c)[1] + (dv - f) @ np.linalg.solve(c, dv - f)
        return total

    def _at(self, rows, eta, k):
        found = self.subject(rows, eta, k == 0)
        return np.array([f for _, f, _, _ in found]), np.array([r for _, _, r, _ in found])
