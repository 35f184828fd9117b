"""Editors for structures of the user's own: checked as one types, taken when one presses Apply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

from ipywidgets import HTML, Button, Dropdown, HTMLMath, Text, Textarea, ToggleButton, VBox

from workbench.errors import ModelError
from workbench.findings import Finding
from workbench.language.latex import aligned
from workbench.markup import escaped, said
from workbench.model import Structure, equation, ode
from workbench.model.equation import Equation
from workbench.model.meant import meant_otherwise
from workbench.model.ode import Ode
from workbench.model.structure import unsaid
from workbench.ui.panels.panel import Refusal, row
from workbench.ui.session.state import State

S = TypeVar("S", Equation, Ode)
Fields = Mapping[str, str]

_EQUATIONS: dict[str, Fields] = {
    "logistic growth": {"text": "Asym/(1 + exp(-(t - xmid)/scal))"},
    "Gompertz growth": {"text": "Asym*exp(-b*exp(-k*t))"},
    "Emax of the dose": {"text": "E0 + Emax*dose/(ED50 + dose)"},
    "Emax of the x axis": {"text": "E0 + Emax*t/(EC50 + t)"},
    "two exponentials": {"text": "A*exp(-alpha*t) + B*exp(-beta*t)"},
}
_ODES: dict[str, Fields] = {
    "one compartment, oral": {
        "text": "d/dt depot = -ka*depot\nd/dt central = ka*depot - CL/V*central\nC = central/V", "response": "C",
    },
    "Michaelis-Menten": {"text": "C = central/V\nd/dt central = -Vm*C/(Km + C)", "response": "C"},
    "indirect response": {
        "text": "C = central/V\nd/dt central = -CL/V*central\nE(0) = kin/kout\n"
        "d/dt E = kin*(1 - Imax*C/(IC50 + C)) - kout*E",
        "response": "C; E",
    },
    "logistic growth": {"text": "N(0) = N0\nd/dt N = r*N*(1 - N/K)", "response": "N"},
}  # fmt: skip


class Editor(Generic[S]):
    """Text and fields that make a structure, and what is wrong with them."""

    kind: ClassVar[type]
    templates: ClassVar[Mapping[str, Fields]]
    labels: ClassVar[Mapping[str, tuple[str, str]]]
    rows: ClassVar[int]
    seldom: ClassVar[tuple[str, ...]] = ()

    def __init__(self, state: State, refusal: Refusal):
        self._state = state
        self._shown: Structure | None = None
        self._base: S | None = None
        self._begun: Fields = {}
        self.template = Dropdown(
            options=[("templates …", ""), *((name, name) for name in self.templates)], description="template",
            tooltip="begin with one of these", layout={"width": "190px"},
        )  # fmt: skip
        self.text = Textarea(rows=self.rows, description="equations", continuous_update=True)
        self.text.add_class("wb-editor")
        self.fields = {
            name: Text(description=label, placeholder=hint, continuous_update=True, style={"description_width": "84px"})
            for name, (label, hint) in self.labels.items()
        }
        for widget in (self.template, self.text):
            widget.add_class("wb-quiet")
        self.verdict, self.preview = HTML(), HTMLMath()
        self.preview.add_class("wb-equations")
        judged = VBox([self.verdict, self.preview])
        judged.add_class("wb-verdict")
        self.apply = Button(description="Apply", button_style="primary", tooltip="take this as the structure")
        self.apply.add_class("wb-toggle")
        self.apply.on_click(refusal.guard(lambda _: self._apply()))
        self.template.observe(refusal.guard(lambda change: self._template_chosen(change["new"])), "value")
        for widget in (self.text, *self.fields.values()):
            widget.observe(state.handler(lambda _: self._judge()), "value")
        self.more = ToggleButton(description="more", tooltip=f"{', '.join(self.labels[n][0] for n in self.seldom)}")
        self.more.add_class("wb-toggle")
        self.more.layout.display = None if self.seldom else "none"
        self.more.observe(state.handler(lambda _: self._hide_seldom()), "value")
        head = row(self.template, row(self.more, self.apply), spread=True)
        self.view = VBox([head, self.text, *self.fields.values(), judged])
        self._hide_seldom()

    # -- what subclasses say -----------------------------------------------------------------------------------

    def draft(self) -> S:
        """The structure that text and fields make."""
        raise NotImplementedError

    def content(self, structure: S) -> Fields:
        """Text and fields that make a structure."""
        raise NotImplementedError

    # -- acts --------------------------------------------------------------------------------------------------

    def begin_from(self, structure: Structure) -> None:
        """Have something to edit, if there is nothing yet."""
        if not self.text.value.strip() or self._content() == self._begun:
            with self._state.quietly():
                self.fill(self._beginning(structure))
                self._begun = self._content()

    def _beginning(self, structure: Structure) -> Fields:
        return next(iter(self.templates.values()))

    def fill(self, content: Fields) -> None:
        """Set text and fields."""
        self.text.value = content["text"]
        for name, box in self.fields.items():
            box.value = content.get(name, "")
        self._hide_seldom()
        self._judge()

    def _content(self) -> Fields:
        return {"text": self.text.value, **{name: box.value for name, box in self.fields.items()}}

    def _hide_seldom(self) -> None:
        for name in self.seldom:
            shown = self.more.value or self.fields[name].value.strip()
            self.fields[name].layout.display = None if shown else "none"

    def _template_chosen(self, name: str) -> None:
        if name:
            with self._state.quietly():
                self._base = None
                self.fill(self.templates[name])
                self.template.value = ""

    def _apply(self) -> None:
        model = self._state.stated_model()
        self._state.update(model=model.with_structure(self.draft()))

    def _judge(self) -> None:
        """Say what the text means, or where its fault is."""
        try:
            structure: S = self.draft()
        except ModelError as error:
            self.apply.disabled = True
            self.verdict.value = f"<div class='wb-refusal' role='alert'>{said(error)}</div>"
            self.preview.value = ""
            return
        model = self._state.model
        applied = model is not None and model.structure == structure
        remarks: list[Finding] = self._remarks(structure)
        stands_against = any(remark.severity == "error" for remark in remarks)
        self.apply.disabled = model is None or applied or stands_against
        parts = [f"parameters {', '.join(structure.names) or 'none'}", f"predicts {', '.join(structure.responses)}"]
        parts += [f"uses column {', '.join(structure.columns)}"] if structure.columns else []
        head = "Something else may be meant" if stands_against else "Good to apply"
        head = "This is the structure of the model" if applied else head
        lines = [f"<b>{head}</b>: {escaped('; '.join(parts))}.", *(escaped(remark.message) for remark in remarks)]
        self.verdict.value = "<br>".join(lines)
        self.preview.value = escaped(aligned(structure.equations()))

    def _remarks(self, structure: S) -> list[Finding]:
        """What one may have meant otherwise."""
        data = self._state.data
        if data is None:
            return []
        absent = [name for name in structure.columns if name not in data.frame.columns]
        known = [name for name in structure.names if name in data.covariate_names]
        remarks = [Finding("warning", f"The data have no column {', '.join(absent)}.")] if absent else []
        if known:
            remarks.append(Finding("warning", f"To use column {', '.join(known)}, name it below Covariates."))
        return remarks + [found for found in meant_otherwise(structure, data) if found.where not in known]

    # -- rendering ---------------------------------------------------------------------------------------------

    def render(self, structure: Structure | None) -> None:
        """Show a structure of this kind when it is a new one; what is being typed stays as long as it is not."""
        if structure == self._shown:
            return
        self._shown = structure
        mine: Any = structure
        if type(structure) is self.kind:
            self._base = mine
            self.fill(self.content(mine))
        elif self.text.value.strip():
            self._judge()


class EquationEditor(Editor[Equation]):
    """One expression, or several by response."""

    kind = Equation
    templates = _EQUATIONS
    labels: ClassVar[Mapping[str, tuple[str, str]]] = {
        "covariates": ("Covariates", "columns of the data, such as WT, AGE"),
        "responses": ("Responses", "the last line, or name = expression; …"),
    }
    rows = 4

    def draft(self) -> Equation:
        """The structure that text and fields make."""
        responses = pairs_of(self.fields["responses"].value, "=", "Responses")
        return equation(self.text.value, names_of(self.fields["covariates"].value), responses or None)

    def content(self, structure: Equation) -> Fields:
        """Text and fields that make a structure."""
        responses = "; ".join(f"{name} = {expression}" for name, expression in structure.outputs)
        return {"text": structure.text, "covariates": ", ".join(structure.covariates), "responses": responses}


class OdeEditor(Editor[Ode]):
    """Differential equations, what is observed of them, and where doses go."""

    kind = Ode
    templates = _ODES
    labels: ClassVar[Mapping[str, tuple[str, str]]] = {
        "response": ("Response", "C, or name = expression; …"),
        "dose": ("Doses into", "the first state, or 1: depot; 2: central"),
        "covariates": ("Covariates", "columns of the data, such as WT, AGE"),
        "lag": ("Lag", "state: expression; …"),
        "bioavailability": ("F", "state: expression; …"),
        "duration": ("Duration", "state: expression; …"),
    }
    rows = 7
    seldom = ("lag", "bioavailability", "duration")

    def draft(self) -> Ode:
        """The structure that text and fields make; what has no field is that of the structure shown last."""
        value = {name: box.value.strip() for name, box in self.fields.items()}
        dose = value["dose"]
        into: Any = dose or None
        if ":" in dose:
            table = pairs_of(dose, ":", "Doses into")
            if not all(number.isdecimal() for number in table):
                raise ModelError(f"Doses into: {dose!r}; before each colon stands the number of a compartment (CMT).")
            into = {int(number): names_of(states) for number, states in table.items()}
        tables: dict[str, Any] = {
            name: pairs_of(value[name], ":", self.labels[name][0]) or None for name in self.seldom
        }
        kept = {} if self._base is None else {name: getattr(self._base, name) for name in ("stiff", "rtol", "atol")}
        columns = names_of(value["covariates"])
        made = ode(self.text.value, _response(value["response"]), into, columns, **tables, **kept)
        order = self._base.parameters if self._base is not None else ()
        return replace(made, parameters=order) if order and set(order) == set(made.names) else made

    def content(self, structure: Ode) -> Fields:
        """Text and fields that make a structure."""
        tables = {
            name: "; ".join(f"{state}: {text}" for state, text in getattr(structure, name)) for name in self.seldom
        }
        outputs = structure.outputs
        return {
            "text": structure.text,
            "response": "; ".join(
                text if name == text or (len(outputs) == 1 and name == "response") else f"{name} = {text}"
                for name, text in outputs
            ),
            "dose": "; ".join(f"{number}: {', '.join(states)}" for number, states in structure.targets),
            "covariates": ", ".join(structure.covariates),
            **tables,
        }

    def _beginning(self, structure: Structure) -> Fields:
        """The same model as equations, if there are such."""
        written = None if unsaid(structure) else structure.as_ode()
        if isinstance(written, self.kind):
            self._base = written
            return self.content(written)
        return super()._beginning(structure)


def names_of(text: str) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def pairs_of(text: str, sign: str, what: str) -> dict[str, str]:
    """Names with what follows a sign, between semicolons."""
    pairs: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        found = _named(part, sign)
        if found is None:
            raise ModelError(f"{what}: {part!r} is not of the form name {sign} …; several stand between semicolons.")
        if found[0] in pairs:
            raise ModelError(f"{what}: {found[0]} is given twice.")
        pairs[found[0]] = found[1]
    return pairs


def _named(part: str, sign: str) -> tuple[str, str] | None:
    """The name before a sign and what follows it; a comparison within brackets is no such sign."""
    found = re.fullmatch(rf"([^{sign}()<>!]*[^{sign}()<>!\s])\s*{sign}(?!=)\s*(.+)", part, re.DOTALL)
    return (found[1], found[2]) if found else None


def _response(text: str) -> str | dict[str, str]:
    """One expression, or several by name; a name alone is a state or an intermediate."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if len(parts) == 1 and _named(parts[0], "=") is None:
        return parts[0]
    named = [part if _named(part, "=") else f"{part} = {part}" for part in parts]
    return pairs_of("; ".join(named), "=", "Response") or "C"
