"""Pharmacodynamics on top of a compartment model: direct, through an effect compartment, or by indirect response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

from workbench.checks import one_of
from workbench.errors import ModelError
from workbench.model.kinetics import TURNOVER, Kinetics, Pharmacodynamics
from workbench.model.library import differential, drawing
from workbench.model.library.pk import CHOICES as PK_CHOICES
from workbench.model.library.pk import PK
from workbench.model.ode import Ode
from workbench.model.structure import Choice, ParameterInfo, Shown

Response = Literal["linear", "emax", "sigmoid emax", "imax", "sigmoid imax"]
Link = Literal["direct", "effect compartment", "inhibit input", "inhibit output", "stimulate input", "stimulate output"]

_INFO = {
    info.name: info
    for info in (
        ParameterInfo("ke0", "rate constant of the effect compartment", "rate constant", (0.01, 10.0)),
        ParameterInfo("E0", "effect without drug", "effect"),
        ParameterInfo("slope", "effect per concentration", ""),
        ParameterInfo("Emax", "maximal effect", "effect"),
        ParameterInfo("EC50", "concentration of half the maximal effect", "concentration", (0.001, 100.0)),
        ParameterInfo("Imax", "maximal inhibition", "fraction", (0.05, 0.99), "logit"),
        ParameterInfo("IC50", "concentration of half the maximal inhibition", "concentration", (0.001, 100.0)),
        ParameterInfo("gamma", "sigmoidicity (Hill coefficient)", "number", (0.5, 10.0)),
        ParameterInfo("kin", "production of the response, per time", ""),
        ParameterInfo("kout", "loss of the response", "rate constant", (0.005, 5.0)),
    )
}
CHOICES = (
    *PK_CHOICES,
    Choice("response", "Effect", options=(
        ("linear", "linear"), ("Emax", "emax"), ("sigmoid Emax", "sigmoid emax"), ("Imax", "imax"),
        ("sigmoid Imax", "sigmoid imax"),
    )),
    Choice("link", "Link", options=(
        ("direct", "direct"), ("effect compartment", "effect compartment"),
        ("indirect I: inhibits input", "inhibit input"), ("indirect II: inhibits output", "inhibit output"),
        ("indirect III: stimulates input", "stimulate input"), ("indirect IV: stimulates output", "stimulate output"),
    )),
)  # fmt: skip
"""What panels offer for a compartment model with an effect."""


@dataclass(frozen=True, repr=False)
class PKPD(Shown):
    """A compartment model with an effect; `pkpd` makes one and describes the choices.

    Attributes
    ----------
    pk : PK
    response : {"linear", "emax", "sigmoid emax", "imax", "sigmoid imax"}
    link : {"direct", "effect compartment", "inhibit input", "inhibit output", "stimulate input", "stimulate output"}
    """

    pk: PK
    response: Response = "emax"
    link: Link = "direct"

    def __post_init__(self) -> None:
        if not isinstance(self.pk, PK):
            raise ModelError(f"pkpd(…): the first argument is a compartment model such as wb.pk(), got {self.pk!r}.")
        one_of("pkpd: response", self.response, get_args(Response))
        one_of("pkpd: link", self.link, get_args(Link))
        if self.link.startswith("inhibit") and self.response in ("emax", "sigmoid emax"):
            object.__setattr__(self, "response", self.response.replace("emax", "imax"))  # the same curve of inhibition
        wanted = "imax" if self.link.startswith("inhibit") else "emax"
        if self.is_turnover and wanted not in self.response:
            raise ModelError(
                f'pkpd(response="{self.response}", link="{self.link}"): allowed with this link is '
                f'response="{wanted}" or "sigmoid {wanted}".'
            )
        shared = [name for name in self._effect.names if name in self.pk.names]
        if shared:
            raise ModelError(
                f"pkpd({self.pk!r}, response={self.response!r}): both parts have a parameter {', '.join(shared)}. "
                'State the compartment model with parameters="clearance" or "rate".'
            )

    @property
    def is_turnover(self) -> bool:
        """Whether the drug acts on the production or loss of the response (indirect response)."""
        return self._effect.is_turnover

    @property
    def _effect(self) -> Pharmacodynamics:
        return Pharmacodynamics(self.response, self.link)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order in which the engine takes them."""
        return (*self.pk.names, *self._effect.names)

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the same order."""
        return (*self.pk.info, *(self._about(name) for name in self._effect.names))

    def _about(self, name: str) -> ParameterInfo:
        if name == "Emax" and self.is_turnover:
            return ParameterInfo("Emax", "maximal stimulation, as a multiple", "number", (0.1, 20.0))
        return _INFO[name]

    @property
    def title(self) -> str:
        """One line for headings."""
        response = self.response.replace("emax", "Emax").replace("imax", "Imax")
        if self.is_turnover:
            kind = ("I", "II", "III", "IV")[TURNOVER.index(self.link)]
            verb, what = self.link.split()
            return f"{self.pk.title}; indirect response {kind} ({verb}s {what}, {response})"
        return f"{self.pk.title}; {response} effect, {self.link}"

    @property
    def responses(self) -> tuple[str, ...]:
        """What is predicted."""
        return ("concentration", "effect")

    @property
    def dosing(self) -> tuple[str, ...]:
        """The compartments that doses can go into: those of the compartment model."""
        return self.pk.dosing

    @property
    def timed(self) -> tuple[int, ...]:
        """Numbers (CMT) of the compartments whose doses have a duration that is a parameter."""
        return self.pk.timed

    # -- what computes with it ---------------------------------------------------------------------------------

    @cached_property
    def kinetics(self) -> Kinetics:
        """What flows where, and what acts on top."""
        return replace(self.pk.kinetics, parameters=self.names, effect=self._effect)

    def ode_text(self) -> str:
        """The same model as text for `wb.ode`; doses, lags and fractions are in `as_ode`."""
        return differential.written(self.kinetics).text

    def as_ode(self) -> Ode:
        """The same model as `wb.ode(…)`: same parameters in the same order, same compartments for doses."""
        return differential.written(self.kinetics).as_ode()

    def twin(self, values: Mapping[str, float]) -> dict[str, float] | None:
        """Values that give the same typical curves: those of the compartment model, see `PK.twin`."""
        return self.pk.twin(values)

    def twins(self, values: Mapping[str, float]) -> tuple[dict[str, float], ...]:
        """All of them: those of the compartment model, see `PK.twins`."""
        return self.pk.twins(values)

    # -- how it looks ------------------------------------------------------------------------------------------

    def equations(self) -> list[str]:
        """Equations of the compartment model and of the effect, as LaTeX."""
        return drawing.equations(self.kinetics)

    def diagram(self) -> str:
        """The compartments and the effect as SVG."""
        return drawing.diagram(self.kinetics, self.title)

    def chosen(self) -> dict[str, Any]:
        """What is chosen, by the field of each of `CHOICES` that has a meaning now."""
        return self.pk.chosen() | {"response": self.response, "link": self.link}

    def with_choice(self, field: str, value: Any, before: Mapping[str, Any] | None = None) -> PKPD:
        """Another choice, see `PK.with_choice`."""
        if field in ("response", "link"):
            return pkpd(self.pk, **({"response": self.response, "link": self.link} | {field: value}))
        return replace(self, pk=self.pk.with_choice(field, value, before))

    def __repr__(self) -> str:
        parts = [repr(self.pk)]
        if self.response != "emax":
            parts.append(f'response="{self.response}"')
        if self.link != "direct":
            parts.append(f'link="{self.link}"')
        return f"wb.pkpd({', '.join(parts)})"


def pkpd(pk: PK, response: Response = "emax", link: Link = "direct") -> PKPD:
    """State a compartment model with an effect of the concentration C.

    Parameters
    ----------
    pk : PK
        As made by `wb.pk`.
    response : {"linear", "emax", "sigmoid emax", "imax", "sigmoid imax"}
        "linear": E = E0 + slope·C. "emax": E = E0 + Emax·C/(EC50 + C). "imax": E = E0·(1 - Imax·C/(IC50 + C)).
        "sigmoid …": with C^gamma and EC50^gamma (IC50^gamma).
    link : str
        "direct": C is the concentration in the central compartment. "effect compartment": C is that at the site of the
        effect, dCe/dt = ke0·(C - Ce), 0 at the start. Indirect response, dE/dt = kin - kout·E, which starts at its
        baseline kin/kout and has no E0: "inhibit input" multiplies kin by 1 - Imax·C/(IC50 + C) and "inhibit output"
        kout (types I and II); "stimulate input" multiplies kin by 1 + Emax·C/(EC50 + C) and "stimulate output"
        kout (III and IV). The default response fits either: where the drug inhibits, "emax" is taken as "imax".

    Returns
    -------
    PKPD
        It predicts two responses, "concentration" and "effect"; DVID in the data tells them apart.

    Raises
    ------
    ModelError
        If an argument is none of those named, or if two of them do not go together.

    Examples
    --------
    >>> import workbench as wb
    >>> wb.pkpd(wb.pk(), link="inhibit input").names
    ('CL', 'V', 'kin', 'kout', 'Imax', 'IC50')
    """
    return PKPD(pk, response, link)
