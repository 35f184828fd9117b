"""The statistical part of a model as LaTeX: how parameters differ between subjects, and how observations scatter."""

from __future__ import annotations

import re

from workbench.errors import ModelError
from workbench.language.latex import symbol
from workbench.language.reading import latex, read_expression
from workbench.model.model import Model
from workbench.model.parameter import Parameter


def individual(parameter: Parameter) -> str:
    """The individual value of a parameter as LaTeX."""
    name = symbol(parameter.name)
    if parameter.column is not None:
        return rf"{_indexed(name)} = \text{{column {_text(parameter.column)}}}"
    typical = name
    added = []
    for number, effect in enumerate(parameter.covariates, start=1):
        fixed = effect.fixed and effect.value is not None and len(effect.value) == 1
        theta = f"{effect.value[0]:g}" if fixed and effect.value else rf"\theta_{{{name},{number}}}"
        term = rf"{theta}\,{_term(effect.term, factor=True)}"
        ratio = re.fullmatch(r"log\((\w+/[^()]+|\w+/median\(\w+\))\)", effect.term)
        if effect.fractional:
            typical += rf"\,\left(1 + {term}\right)"
        elif ratio and parameter.link.is_logarithm:
            typical += rf"\left({_term(ratio[1])}\right)^{{{theta}}}"
        else:
            added.append(term)
    if parameter.iiv is not None:
        added.append(rf"\eta_{{{name}}}")
    if parameter.share is not None:
        scale = r"s" if parameter.share[1] is None else f"{parameter.share[1]:.3g}"
        added.append(rf"{scale}\,\eta_{{{symbol(parameter.share[0])}}}")
    if parameter.iov is not None:
        added.append(rf"\kappa_{{{name}}}")
    left = _indexed(name)
    if parameter.link.is_logarithm:
        return f"{left} = {typical}" + (rf"\; e^{{\,{' + '.join(added)}}}" if added else "")
    return f"{parameter.link.latex(left, bare=True)} = {' + '.join([parameter.link.latex(typical), *added])}"


def _indexed(name: str) -> str:
    """A symbol with the index i of the subject, beside an index that it has."""
    base, mark, index = name.partition("_")
    if not mark:
        return f"{name}_i"
    return f"{base}_{{{index.removeprefix('{').removesuffix('}') if index.startswith('{') else index},i}}"


def observations(model: Model) -> list[str]:
    """The residual errors as LaTeX, one per response."""
    responses, lines = model.structure.responses, []
    for name, error in zip(responses, model.errors, strict=True):
        of = rf"_\mathrm{{{_text(name)}}}" if len(responses) > 1 else ""
        y, f = f"y{of}", f"f{of}"
        lines.append(error.latex(y, f))
    return [rf"{line},\qquad \varepsilon \sim \mathcal{{N}}(0, 1)" for line in lines]


def _term(term: str, factor: bool = False) -> str:
    """A covariate term as LaTeX; one that is more than an expression, such as C(SEX), as it is typed."""
    try:
        return latex(read_expression(re.sub(r"median\((\w+)\)", r"\1_median", term), "The term")[1], factor)
    except ModelError:
        return rf"\mathtt{{{_text(term)}}}"


def _text(text: str) -> str:
    """Text of the user's within LaTeX: what means something there is left out or set apart."""
    kept = {"_": r"\_", "(": "(", ")": ")", ",": ",", "-": "-", "+": "+", "/": "/", "*": "*", ".": ".", "<": "<",
            ">": ">", "=": "=", "'": "'", '"': '"'}  # fmt: skip
    return "".join(c if c.isalnum() else kept.get(c, r"\ ") for c in text)
