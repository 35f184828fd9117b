"""Pharmacodynamics on top of a compartment model: direct, through an effect compartment, or by indirect response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from workbench.errors import ModelError
from workbench.model.structure import PK, ParameterInfo, Shown, one_of

if TYPE_CHECKING:
    from workbench.model.ode import Ode

Response = Literal["linear", "emax", "sigmoid emax", "imax", "sigmoid imax"]
Link = Literal["direct", "effect compartment", "inhibit input", "inhibit output", "stimulate input", "stimulate output"]
TURNOVER = ("inhibit input", "inhibit output", "stimulate input", "stimulate output")  # types I to IV

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
_OF_RESPONSE: dict[str, tuple[str, ...]] = {
    "linear": ("slope",),
    "emax": ("Emax", "EC50"),
    "sigmoid emax": ("Emax", "EC50", "gamma"),
    "imax": ("Imax", "IC50"),
    "sigmoid imax": ("Imax", "IC50", "gamma"),
}


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
        one_of("pkpd", "response", self.response, get_args(Response))
        one_of("pkpd", "link", self.link, get_args(Link))
        if self.link.startswith("inhibit") and self.response in ("emax", "sigmoid emax"):
            object.__setattr__(self, "response", self.response.replace("emax", "imax"))  # the same curve of inhibition
        wanted = "imax" if self.link.startswith("inhibit") else "emax"
        if self.is_turnover and wanted not in self.response:
            raise ModelError(
                f'pkpd(response="{self.response}", link="{self.link}"): allowed with this link is '
                f'response="{wanted}" or "sigmoid {wanted}".'
            )
        shared = [name for name in self._effect_names if name in self.pk.names]
        if shared:
            raise ModelError(
                f"pkpd({self.pk!r}, response={self.response!r}): both parts have a parameter {', '.join(shared)}. "
                'State the compartment model with parameters="clearance" or "rate".'
            )

    @property
    def is_turnover(self) -> bool:
        """Whether the drug acts on the production or loss of the response (indirect response)."""
        return self.link in TURNOVER

    @property
    def _effect_names(self) -> tuple[str, ...]:
        base = ("kin", "kout") if self.is_turnover else ("ke0", "E0") if self.link == "effect compartment" else ("E0",)
        return (*base, *_OF_RESPONSE[self.response])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order in which the engine takes them."""
        return (*self.pk.names, *self._effect_names)

    @property
    def info(self) -> tuple[ParameterInfo, ...]:
        """The parameters, in the same order."""
        return (*self.pk.info, *(self._about(name) for name in self._effect_names))

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
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the equations use: none."""
        return ()

    @property
    def needs_dose(self) -> bool:
        """Whether it predicts nothing of interest without a dose."""
        return True

    @property
    def dosing(self) -> tuple[str, ...]:
        """The compartments that doses can go into: those of the compartment model."""
        return self.pk.dosing

    @property
    def is_linear(self) -> bool:
        """Whether the predictions have a closed form."""
        return False

    # -- equations ---------------------------------------------------------------------------------------------

    def ode_text(self) -> str:
        """The same model as text for `wb.ode`; doses, lags and fractions are in `as_ode`."""
        from workbench.model.library.kinetics import kinetics

        return kinetics(self).text

    def as_ode(self) -> Ode:
        """The same model as `wb.ode(…)`: same parameters in the same order, same compartments for doses."""
        from workbench.model.library.kinetics import kinetics

        return kinetics(self).as_ode()

    def equations(self) -> list[str]:
        """Equations of the compartment model and of the effect, as LaTeX."""
        from workbench.model.library.drawing import equations

        return equations(self)

    def diagram(self) -> str:
        """The compartments and the effect as SVG."""
        from workbench.model.library.drawing import diagram

        return diagram(self)

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
