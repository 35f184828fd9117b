r"""Formulas as MathML, which browsers draw by themselves: pages then need no network and no script.

It reads the LaTeX that workbench writes (fractions, roots, indices, powers, names); what it does not know is shown as
it is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.markup.html import Html, joined, tag

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[{}^_&]|\d+(?:\.\d+)?|\s+|[^\s]")
_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "varepsilon": "ε", "Psi": "Ψ", "Phi": "Φ",
    "Delta": "Δ", "Omega": "Ω", "Sigma": "Σ",
}  # fmt: skip
_SIGNS = {"sim": "∼", "cdot": "·", "ldots": "…", "times": "×", "le": "≤", "ge": "≥", "leq": "≤", "geq": "≥", "ne": "≠",
          "neq": "≠", "wedge": "∧", "vee": "∨", "land": "∧", "lor": "∨", "neg": "¬", "infty": "∞", "pm": "±",
          "to": "→", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "vert": "|", "mid": "|",
          "in": "∈"}  # fmt: skip
_SPACES = {",": "0.17em", ";": "0.28em", ":": "0.22em", " ": "0.3em", "quad": "1em", "qquad": "2em", "!": "0"}
_FUNCTIONS = ("log", "ln", "exp", "sin", "cos", "tan", "max", "min", "sinh", "cosh", "tanh", "arctan", "gcd", "det")
_STYLES = {"mathrm": "normal", "mathit": "italic", "mathtt": "monospace", "mathcal": "script", "operatorname": "normal",
           "text": "normal", "mathbf": "bold"}  # fmt: skip
_OPERATORS = "=+-*/()[],;:|<>'!∼"


def formula(latex: str) -> Html:
    r"""A formula of its own.

    Examples
    --------
    >>> formula(r"k = \frac{\mathit{CL}}{V}")[:40]
    '<math display="block"><mrow><mi>k</mi><m'
    """
    return tag("math", _Reader(latex).row(), display="block")


class _Reader:
    def __init__(self, latex: str):
        self._tokens = _TOKEN.findall(latex)
        self._place = 0

    def _peek(self) -> str:
        while self._place < len(self._tokens) and self._tokens[self._place].isspace():
            self._place += 1
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self, *, blanks: bool = False) -> str:
        token = self._tokens[self._place] if blanks and self._place < len(self._tokens) else self._peek()
        self._place += 1
        return token

    def row(self, until: str = "") -> Html:
        """What follows, as far as a token that closes it."""
        parts: list[Html] = []
        while self._peek():
            if until and self._peek() == until:
                self._next()
                break
            if self._peek() == "}":
                self._next()
                continue
            parts.append(self._scripted())
        return tag("mrow", joined(*parts)) if len(parts) != 1 else parts[0]

    def _scripted(self) -> Html:
        """Something with what stands below and above it."""
        base = self._one()
        below: Html | None = None
        above: Html | None = None
        while self._peek() in ("_", "^"):
            if self._next() == "_":
                below = self._group()
            else:
                above = self._group()
        if below is not None and above is not None:
            return tag("msubsup", base, below, above)
        if below is not None:
            return tag("msub", base, below)
        return tag("msup", base, above) if above is not None else base

    def _group(self) -> Html:
        if self._peek() == "{":
            self._next()
            return self.row("}")
        return self._one()

    def _one(self) -> Html:
        token = self._next()
        if token == "{":
            return self.row("}")
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[:1].isdigit():
            return tag("mn", token)
        if token in _OPERATORS:
            sign = {"-": "−", "'": "′"}.get(token, token)
            return tag("mo", sign, stretchy="false" if token in "()[]|" else None)
        return tag("mi", token) if token not in ("&", "") else Html("<mrow></mrow>")

    def _command(self, name: str) -> Html:
        if name == "frac":
            return tag("mfrac", self._group(), self._group())
        if name == "sqrt":
            return tag("msqrt", self._group())
        if name == "left":
            begin, inside, end = self._sign(), self.row("\\right"), self._sign()
            return tag("mrow", begin, inside, end)
        if name in _STYLES:
            words = self._words()
            if name == "mathcal" and words == "N":
                return tag("mi", "𝒩")
            if name == "text":
                return tag("mtext", words)
            style = "font-family:monospace" if name == "mathtt" else None
            return tag("mi", words, mathvariant="normal" if name in ("mathrm", "operatorname") else None, style=style)
        if name in _GREEK:
            return tag("mi", _GREEK[name])
        if name in _SPACES:
            return Html(f'<mspace width="{_SPACES[name]}"></mspace>')
        if name in _SIGNS:
            return tag("mo", _SIGNS[name])
        if name == "sum":
            return tag("mo", "∑")
        if name == "prod":
            return tag("mo", "∏")
        if name in _FUNCTIONS:
            return tag("mi", name)
        return tag("mi", name) if len(name) == 1 else tag("mtext", f"\\{name}")

    def _sign(self) -> Html:
        """What stands around a group and is as high as that."""
        sign = self._next()
        return tag("mo", "" if sign == "." else sign.removeprefix("\\"), stretchy="true")

    def _words(self) -> str:
        """The text in braces, blanks as they are written; commands in it are taken for what they show."""
        if self._peek() != "{":
            return self._next()
        depth, parts = 0, list[str]()
        while self._place < len(self._tokens):
            token = self._next(blanks=True)
            depth += (token == "{") - (token == "}")
            if depth == 0:
                break
            if token not in "{}":
                parts.append(_plain(token))
        return "".join(parts)


def _plain(token: str) -> str:
    name = token.removeprefix("\\")
    if token == name:
        return token
    return " " if name in _SPACES else _GREEK.get(name, _SIGNS.get(name, name))


def formulas(lines: Sequence[str]) -> Html:
    """Formulas below each other."""
    return tag("div", *map(formula, lines), class_="formulas")
