"""LaTeX: names as symbols, equations below each other."""

from __future__ import annotations

import re

_SYMBOLS = {
    "CL": r"\mathit{CL}", "ka": "k_a", "Vm": "V_m", "Km": "K_m", "Tk0": r"T_{k0}", "Fr": r"F_r", "ke0": r"k_{e0}",
    "mtt": r"\mathit{MTT}", "ktr": r"k_\mathrm{tr}", "lag": r"t_\mathrm{lag}", "lag0": r"t_\mathrm{lag,0}",
    "t_half": r"t_{1/2}", "t_half_alpha": r"t_{1/2,\alpha}", "t_half_beta": r"t_{1/2,\beta}",
    "Emax": r"E_\mathrm{max}", "EC50": r"\mathit{EC}_{50}", "Imax": r"I_\mathrm{max}", "IC50": r"\mathit{IC}_{50}",
    "kin": r"k_\mathrm{in}", "kout": r"k_\mathrm{out}", "slope": r"\mathrm{slope}",
}  # fmt: skip
_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
}  # fmt: skip


def symbol(name: str) -> str:
    r"""A name as LaTeX: Greek letters, indices after an underscore or in front of digits.

    Examples
    --------
    >>> symbol("k12"), symbol("alpha"), symbol("V_max"), symbol("Asym")
    ('k_{12}', '\\alpha', 'V_\\mathrm{max}', '\\mathit{Asym}')
    """
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    head, _, index = name.partition("_")
    if not index and (split := re.fullmatch(r"([A-Za-z]+?)(\d+)", name)):
        head, index = split.groups()
    if not head or name.endswith("_"):
        return rf"\mathrm{{{_plain(name)}}}"
    base = rf"\{head}" if head in _GREEK else _plain(head) if len(head) == 1 else rf"\mathit{{{_plain(head)}}}"
    if not index:
        return base
    return f"{base}_{{{index}}}" if index.isdigit() else rf"{base}_\mathrm{{{_plain(index)}}}"


def _plain(text: str) -> str:
    """Letters and digits as they are, anything else so that LaTeX takes it as text."""
    return "".join(c if c.isalnum() else r"\_" if c == "_" else " " for c in text)


def aligned(equations: list[str]) -> str:
    """Equations below each other, aligned at their first equals sign, between dollar signs."""
    if not equations:
        return ""
    rows = [equation.replace(" = ", " &= ", 1) for equation in equations]
    return "$$\\begin{aligned}\n" + " \\\\[4pt]\n".join(rows) + "\n\\end{aligned}$$"


def rate_of_change(quantity: str, terms: str) -> str:
    """A differential equation."""
    return rf"\frac{{d\,{quantity}}}{{dt}} = {terms}"
