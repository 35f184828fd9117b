"""The model: one frozen value that prints itself as the Python that makes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from workbench.checks import finite, one_of
from workbench.data import GroupedData
from workbench.errors import ModelError
from workbench.findings import Finding
from workbench.language.formula import columns_of, median_columns, open_columns, with_numbers
from workbench.model.block import Block, restricted
from workbench.model.check import absent_columns, findings
from workbench.model.design import with_medians
from workbench.model.parameter import Effect, Parameter
from workbench.model.residual import Combined2, ResidualError
from workbench.model.shapes import Reference, Shape, allometric_exponents, settled_effects, shaped_effects
from workbench.model.structure import Structure, unsaid

Blq = Literal["M1", "M3", "M4"] | None
BLQ: tuple[Blq, ...] = (None, "M1", "M3", "M4")
_WIDTH = 120


Correlate = Literal["full"] | Sequence[Block | Sequence[str]] | None
Errors = ResidualError | Mapping[str, ResidualError] | Sequence[ResidualError] | None


@dataclass(frozen=True, init=False)
class Model:
    """A nonlinear mixed-effects model.

    Parameters
    ----------
    structure : Structure
        As made by `pk`, `pkpd`, `equation` or `ode`.
    parameters : sequence of Parameter, optional
        All parameters of the structure, in the order in which tables should show them. None: all of
        them with a random effect and the structure's usual transform (log-normal, but logit-normal for a fraction),
        values found from the data.
    error : ResidualError or dict of str to ResidualError, optional
        By name of the response where the structure has several; one alone then holds for each, with values of its own.
    correlate : "full" or sequence of names or Block, optional
        Blocks of Ψ; random effects not named are independent.
    blq : {None, "M1", "M3", "M4"}
        What censored observations say (Beal 2001): "M1" leaves them out, "M3" takes the probability to lie below the
        limit, "M4" that between 0 and the limit given that the value is positive. None: data with censored
        observations are refused.

    Attributes
    ----------
    errors : tuple of ResidualError
        In the order of the structure's responses.

    Raises
    ------
    ModelError
        If a parameter is unknown to the structure, missing, or named twice; if a block names one without
        random effect; if a response is unknown.

    Examples
    --------
    >>> import workbench as wb
    >>> model = wb.Model(
    ...     wb.pk(absorption="first-order"),
    ...     [wb.Parameter("ka", 1.5, iiv=0.6), wb.Parameter("CL", 2.8, iiv=0.3), wb.Parameter("V", 32, iiv=0.2)],
    ...     error=wb.Combined2(0.5, 0.1),
    ...     correlate=[("CL", "V")],
    ... )
    >>> heavier = model.with_covariate("V", "WT", shape="power", reference=70)
    >>> heavier == model
    False
    >>> heavier.without_covariate("V", "WT") == model
    True
    """

    structure: Structure
    parameters: tuple[Parameter, ...]
    errors: tuple[ResidualError, ...]
    correlate: tuple[Block, ...]
    blq: Blq

    def __init__(
        self,
        structure: Structure,
        parameters: Iterable[Parameter] | None = None,
        error: Errors = None,
        correlate: Correlate = None,
        blq: Blq = None,
    ):
        if isinstance(structure, type) or not hasattr(structure, "names"):
            raise ModelError(f"The first argument is a structure such as wb.pk(compartments=1), got {structure!r}.")
        if incomplete := unsaid(structure, to_compute=False):
            raise ModelError(incomplete)
        object.__setattr__(self, "structure", structure)
        object.__setattr__(self, "parameters", self._checked_parameters(parameters))
        object.__setattr__(self, "errors", self._checked_errors(error))
        object.__setattr__(self, "correlate", self._blocks(correlate))
        object.__setattr__(self, "blq", one_of("blq", blq, BLQ))

    def _checked_parameters(self, given: Iterable[Parameter] | None) -> tuple[Parameter, ...]:
        structure = self.structure
        parameters = _usual(structure) if given is None else tuple(given)
        for parameter in parameters:
            if not isinstance(parameter, Parameter):
                raise ModelError(f"parameters= holds wb.Parameter(…) values, got {parameter!r}.")
        names = [parameter.name for parameter in parameters]
        known = ", ".join(structure.names)
        unknown = [name for name in names if name not in structure.names]
        if unknown:
            raise ModelError(f"{structure!r} has no parameter {', '.join(unknown)}. It has {known}.")
        self._refuse_names_of_others(structure)
        missing = [name for name in structure.names if name not in names]
        if missing:
            raise ModelError(f"{structure!r} needs {known}; missing: {', '.join(missing)}.")
        if len(set(names)) < len(names):
            raise ModelError(f"A parameter is given twice: {', '.join(names)}.")
        own = [parameter.name for parameter in parameters if parameter.iiv is not None]
        for parameter in parameters:
            if parameter.share is not None and parameter.share[0] not in own:
                raise ModelError(
                    f"{parameter.name} shares the random effect of {parameter.share[0]}, which has none of its own. "
                    f"With one: {', '.join(own) or 'none has one'}."
                )
        return parameters

    @staticmethod
    def _refuse_names_of_others(structure: Structure) -> None:
        """Refuse parameters that are called as estimates of others are."""
        for name, other in _names_of_others(tuple(structure.names)):
            raise ModelError(
                f"A parameter of {structure!r} is called {name}, which names {other} among the estimates. "
                "Give it another name."
            )

    @property
    def error_labels(self) -> tuple[tuple[str, ...], ...]:
        """What the parameters of the residual errors are called among the estimates, by response.

        As in the error, with the response where there are several, and "error_" before it where a parameter of the
        structure is called so.
        """
        several, taken, found = len(self.errors) > 1, set(self.structure.names), []
        for response, error in zip(self.structure.responses, self.errors, strict=True):
            labels = []
            for name in error.names:
                label = f"{name}_{response}" if several else name
                while label in taken:
                    label = f"error_{label}"
                taken.add(label)
                labels.append(label)
            found.append(tuple(labels))
        return tuple(found)

    def _checked_errors(self, given: Errors) -> tuple[ResidualError, ...]:
        responses = self.structure.responses
        if given is None or isinstance(given, ResidualError):
            errors: tuple[ResidualError, ...] = (given or Combined2(),) * len(responses)
        elif not isinstance(given, tuple) and isinstance(given, Mapping):
            unknown = [name for name in given if name not in responses]
            if unknown:
                raise ModelError(
                    f"error= names {', '.join(map(str, unknown))}; the responses of {self.structure!r} are "
                    f"{', '.join(responses)}."
                )
            errors = tuple(given.get(name, Combined2()) for name in responses)
        else:
            errors = tuple(given) if isinstance(given, Sequence) else (given,)
        for error in errors:
            if not isinstance(error, ResidualError):
                raise ModelError(f"error= is a residual error such as wb.Constant(0.5), got {error!r}.")
            error.check_answers()
        if len(errors) != len(responses):
            raise ModelError(f"error= has {len(errors)} residual errors for the responses {', '.join(responses)}.")
        return errors

    def _blocks(self, correlate: Correlate) -> tuple[Block, ...]:
        if not correlate:
            return ()
        effects = {"subject": self.random_effects, "occasion": self.occasion_effects}
        if isinstance(correlate, str):
            if correlate != "full":
                raise ModelError(f"correlate={correlate!r}; allowed are 'full' or groups such as [('CL', 'V')].")
            return (Block(*self.random_effects),) if len(self.random_effects) > 1 else ()
        items = list(correlate)
        if all(isinstance(item, str) for item in items):  # one group, not wrapped in a list of groups
            items = [Block(*(name for name in items if isinstance(name, str)))]
        blocks = tuple(item if isinstance(item, Block) else Block(*item) for item in items)
        seen: set[tuple[str, str]] = set()
        for block in blocks:
            there, what = effects[block.level], "random" if block.level == "subject" else "inter-occasion"
            for name in block.names:
                if name not in there:
                    have = ", ".join(there) or "none has one"
                    raise ModelError(f"correlate names {name}, which has no {what} effect. With one: {have}.")
                if (block.level, name) in seen:
                    raise ModelError(f"correlate names {name} in two blocks; put them together into one.")
                seen.add((block.level, name))
        return blocks

    # -- reading -----------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise ModelError(f"The model has no parameter {name!r}. It has {', '.join(self.structure.names)}.")

    @property
    def error(self) -> ResidualError:
        """The residual error; that of the first response where there are several."""
        return self.errors[0]

    @property
    def random_effects(self) -> tuple[str, ...]:
        """Names of the parameters that have a random effect η of their own, in order."""
        return tuple(parameter.name for parameter in self.parameters if parameter.iiv is not None)

    @property
    def occasion_effects(self) -> tuple[str, ...]:
        """Names of the parameters that differ between the occasions of a subject, by κ, in order."""
        return tuple(parameter.name for parameter in self.parameters if parameter.iov is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the structure, covariate formulas and known parameters use."""
        used = list(self.structure.columns)
        used += [name for p in self.parameters for effect in p.covariates for name in columns_of(effect.term)]
        used += [p.column for p in self.parameters if p.column is not None]
        return tuple(dict.fromkeys(used))

    @property
    def unstated(self) -> tuple[str, ...]:
        """What has to be found from data before anything can be computed, in words."""
        missing = [p.name for p in self.parameters if p.value is None and p.column is None]
        for part in ("iiv", "iov"):
            missing += [f"{part} of {p.name}" for p in self.parameters if getattr(p, part) is True]
        responses = self.structure.responses
        for response, error in zip(responses, self.errors, strict=True):
            of = f" of {response}" if len(responses) > 1 else ""
            pairs = zip(error.names, error.values, strict=True)
            missing += [f"{name} of the error{of}" for name, value in pairs if value is None]
        medians = [name for p in self.parameters for e in p.covariates for name in median_columns(e.term)]
        unsettled = [name for p in self.parameters for e in p.covariates for name in open_columns(e.term)]
        missing += [f"the shape of {name}" for name in dict.fromkeys(unsettled)]
        return (*missing, *(f"the median of {name}" for name in dict.fromkeys(medians)))

    @property
    def is_complete(self) -> bool:
        """Whether every value is stated, so that nothing has to be found from data."""
        return not self.unstated

    def check(self, data: GroupedData) -> list[Finding]:
        """Name every problem of this model with these data, before anything is computed.

        Parameters
        ----------
        data : GroupedData

        Returns
        -------
        list of Finding
            Errors, which stand against any computation, first; then warnings. Empty where all is well.
        """
        if not isinstance(data, GroupedData):
            return findings(self, data)
        settled = self.with_settled_shapes(data)
        return [*findings(settled, data), *self._settled_by_codes(settled, data)]

    def _settled_by_codes(self, settled: Model, data: GroupedData) -> list[Finding]:
        """Says which open shapes became those of categories although the column holds numbers."""
        found = []
        for parameter in self.parameters:
            for name in (c for e in parameter.covariates for c in open_columns(e.term)):
                term = next((e.term for e in settled[parameter.name].covariates if e.term.startswith(f"C({name}")), "")
                if term and data.content.frame[name].dtype.kind in "iuf" and data.content.frame[name].nunique() > 2:
                    message = f"{parameter.name}: the values of {name} are codes of a category: taken as {term}."
                    found.append(Finding("warning", message, parameter.name))
        return found

    # -- edits: each returns a new model -----------------------------------------------------------------------

    def _edit(self, **changes: Any) -> Model:
        return Model(
            **{
                "structure": self.structure,
                "parameters": self.parameters,
                "error": self.errors,
                "correlate": self.correlate,
                "blq": self.blq,
                **changes,
            }
        )

    def _with_parameters(self, parameters: Iterable[Parameter], **changes: Any) -> Model:
        """Change the parameters; blocks and shared random effects lose what is gone."""
        parameters = tuple(parameters)
        own = [p.name for p in parameters if p.iiv is not None]
        gone = set(self.random_effects).difference(own)
        kept = tuple(_changed(p, share=None) if p.share is not None and p.share[0] in gone else p for p in parameters)
        effects = {"subject": own, "occasion": [p.name for p in parameters if p.iov is not None]}
        return self._edit(parameters=kept, correlate=restricted(self.correlate, effects), **changes)

    def with_structure(self, structure: Structure) -> Model:
        """Change the structure; parameters and responses that both have are kept, new ones are found from the data."""
        mine = {parameter.name: parameter for parameter in self.parameters}
        parameters = [mine.get(parameter.name, parameter) for parameter in _usual(structure)]
        before, after = self.structure.responses, structure.responses
        errors = {name: error for name, error in zip(before, self.errors, strict=True) if name in after}
        if len(before) == len(after) == 1:
            errors = {after[0]: self.error}
        return self._with_parameters(parameters, structure=structure, error=errors)

    def with_parameter(self, name: str, **changes: Any) -> Model:
        """Change fields of one parameter: value, iiv, covariates, transform, fixed, column, bounds, iov, share.

        A random effect of its own takes the place of a shared one, and the other way round; one that is taken away or
        to be found from the data is not fixed any more. Another transform comes without the bounds of the old one.
        """
        return self.with_parameters({name: changes})

    def with_parameters(self, changes: Mapping[str, Mapping[str, Any]]) -> Model:
        """Change fields of several parameters at once, by name; see `with_parameter`."""
        changed = {name: _changed(self[name], **some) for name, some in changes.items()}
        return self._with_parameters(changed.get(p.name, p) for p in self.parameters) if changed else self

    def with_values(self, values: Mapping[str, float]) -> Model:
        """Set typical values by name, on the natural scale."""
        model = self
        for name, value in values.items():
            model = model.with_parameter(name, value=value)
        return model

    def with_iiv(self, *names: str, sd: float | bool | None = True) -> Model:
        """Let parameters differ between subjects, all if none is named; sd=None takes it away."""
        chosen = names or tuple(p.name for p in self.parameters if p.column is None)
        return self._with_deviations("iiv", chosen, sd)

    def with_iov(self, *names: str, sd: float | bool | None = True) -> Model:
        """Let parameters differ between occasions, those with `iiv` if none is named; sd=None takes it away."""
        return self._with_deviations("iov", names or self.random_effects, sd)

    def _with_deviations(self, part: str, names: Iterable[str], sd: float | bool | None) -> Model:
        model = self
        for name in names:
            model = model.with_parameter(name, **{part: sd})
        return model

    def with_error(self, error: Errors, response: str | None = None) -> Model:
        """Change the residual error model: of one response, or of all."""
        if response is None:
            return self._edit(error=error)
        responses = self.structure.responses
        if response not in responses:
            raise ModelError(f"There is no response {response!r}; {self.structure!r} has {', '.join(responses)}.")
        return self._edit(error=dict(zip(responses, self.errors, strict=True)) | {response: error})

    def with_correlate(self, correlate: Correlate) -> Model:
        """Change the blocks of Ψ."""
        return self._edit(correlate=correlate)

    def with_blq(self, blq: Blq) -> Model:
        """Change what is done with censored observations: None, "M1", "M3" or "M4"."""
        return self._edit(blq=blq)

    def with_covariate(
        self,
        parameter: str,
        covariate: str,
        shape: str | Shape | None = None,
        reference: Reference = "median",
        start: float | Iterable[float] | None = None,
        fixed: bool = False,
        breakpoint: float | Literal["median"] | None = None,
    ) -> Model:
        """Let a covariate c act on a parameter p, whose typical value is that at the reference.

        Parameters
        ----------
        parameter, covariate : str
        shape : str or Shape, optional
            None leaves it open: where model and data meet it becomes the usual one for the values of the covariate,
            "power" for positive numbers, "exponential" (on an identity scale "linear") for others, "categorical" for
            text and for codes of a category; `with_settled_shapes` does so, and the model of a fit says it. Or one of
            these, another that `wb.add_shape` has made known, or a `wb.Shape(…)`.

            ============= ================================================ ==================================
            shape         on a log-normal parameter                        otherwise
            ============= ================================================ ==================================
            "power"       p·(c / reference)^θ                              θ·log(c / reference) is added on the
                                                                           logit or probit scale
            "exponential" p·exp(θ·(c − reference))                         θ·(c − reference) is added there
            "linear"      p·(1 + θ·(c − reference))                        identity: p + θ·(c − reference)
            "piecewise"   p·(1 + θ₁·(c − r)) below r, θ₂ above it          identity: θ₁·(c − r), θ₂·(c − r)
            "categorical" p·exp(θ) for each level but the reference        θ is added on the transformed scale
            "fraction"    p·(1 + θ) for each level but the reference       the same
            ============= ================================================ ==================================
        reference : "median", number, or level
            Value of the covariate at which the parameter has its typical value. "median": that over the subjects, of
            their first values; for categories the first level.
        start : float or sequence of float, optional
            Coefficients to start from; 0 if not given.
        fixed : bool
            Keep the coefficients at `start`.
        breakpoint : float or "median", optional
            Where the slope of "piecewise" changes, r; `reference` if not given.
        """
        target = self[parameter]
        if target.column is not None:
            raise ModelError(f"{parameter} is taken from column {target.column!r}; a covariate cannot act on it.")
        effects = shaped_effects(target, covariate, shape, reference, start, fixed, breakpoint)
        return self.with_parameter(parameter, covariates=(*target.covariates, *effects))

    def without_covariate(self, parameter: str, covariate: str) -> Model:
        """Remove every term of a parameter that uses a covariate."""
        kept = tuple(e for e in self[parameter].covariates if covariate not in columns_of(e.term))
        if len(kept) == len(self[parameter].covariates):
            raise ModelError(f"{parameter} has no effect of {covariate}.")
        return self.with_parameter(parameter, covariates=kept)

    def allometric(
        self,
        weight: str = "WT",
        reference: float | Literal["median"] = 70.0,
        clearance: float = 0.75,
        volume: float = 1.0,
        estimate: bool = False,
    ) -> Model:
        """Scale every clearance, volume and rate of disposition by body weight (Anderson & Holford 2008).

        An exponent stands on each parameter by its dimension: `clearance` on clearances and maximal rates of
        elimination, `volume` on volumes, `clearance` − `volume` on rate constants of elimination and distribution,
        the negative of that on half-lives. Rates of absorption and of effects are left alone. Effects of the weight
        that these parameters have already are replaced.

        Parameters
        ----------
        weight : str
            Column of the data.
        reference : float or "median"
            Weight of the person that the typical values describe.
        clearance, volume : float
        estimate : bool
            Start from these exponents and estimate them, instead of keeping them.
        """
        exponents = allometric_exponents(self.structure, finite(clearance, "clearance"), finite(volume, "volume"))
        model = self
        for name, exponent in exponents.items():
            if model[name].column is None:
                others = tuple(e for e in model[name].covariates if weight not in columns_of(e.term))
                model = model.with_parameter(name, covariates=others)
                model = model.with_covariate(name, weight, "power", reference, exponent, fixed=not estimate)
        return model

    def with_settled_shapes(self, data: GroupedData) -> Model:
        """Settle the shapes that `with_covariate` left open, by what the covariates are in these data.

        Examples
        --------
        >>> import workbench as wb
        >>> model = wb.Model(wb.pk()).with_covariate("CL", "WT")
        >>> model["CL"].covariates
        (wb.Effect('open(WT)'),)
        >>> model.with_settled_shapes(wb.load_example("phenobarbital"))["CL"].covariates
        (wb.Effect('log(WT/median(WT))'),)
        """
        names = {name for p in self.parameters for e in p.covariates for name in open_columns(e.term)}
        frame = data.content.frame
        if not names & set(frame.columns):
            return self

        def settled(parameter: Parameter) -> Parameter:
            effects: list[Effect] = []
            for effect in parameter.covariates:
                known = [name for name in open_columns(effect.term) if name in frame.columns]
                if known == [data.roles.get("response")]:
                    known = []  # refused as such
                effects += settled_effects(parameter, effect, frame[known[0]]) if known else [effect]
            return replace(parameter, covariates=tuple(effects))

        return self._edit(parameters=tuple(map(settled, self.parameters)))

    def coded_categories(self, data: GroupedData) -> tuple[str, ...]:
        """Which covariates act as categories although the data hold numbers, in words."""
        frame = data.content.frame
        found: dict[str, list[str]] = {}
        for parameter in self.parameters:
            for effect in parameter.covariates:
                for name in columns_of(effect.term) if effect.term.startswith("C(") else ():
                    if name in frame.columns and frame[name].dtype.kind in "iuf" and frame[name].nunique() > 2:
                        found.setdefault(name, []).append(f"{parameter.name}: {effect.term}")
        return tuple(f"{name} holds codes, taken as a category ({', '.join(at)})." for name, at in found.items())

    def with_centred(self, data: GroupedData) -> Model:
        """Settle open shapes, and put numbers for every median(…) in the covariate formulas.

        Raises
        ------
        ModelError
            If the data have no such column, or it holds no numbers.
        """
        model = self.with_settled_shapes(data)
        terms = [effect.term for p in model.parameters for effect in p.covariates]
        names = tuple(dict.fromkeys(name for term in terms for name in (*median_columns(term), *open_columns(term))))
        if not names:
            return model
        absent = absent_columns(names, data)
        if absent:
            raise ModelError(absent)
        baseline = data.covariate_values(names).iloc[data.events.start[:-1]]
        centred = []
        for parameter in model.parameters:
            effects = tuple(replace(e, term=with_medians(e.term, baseline)) for e in parameter.covariates)
            centred.append(replace(parameter, covariates=effects))
        return model._edit(parameters=tuple(centred))

    @property
    def centred_on(self) -> tuple[str, ...]:
        """Columns whose medians are in the covariate formulas and are no numbers yet."""
        terms = [effect.term for p in self.parameters for effect in p.covariates]
        return tuple(dict.fromkeys(name for term in terms for name in median_columns(term)))

    def centred_at(self, medians: Mapping[str, float]) -> Model:
        """Put these numbers for every median(…) in the covariate formulas, as `with_centred` does those of data."""
        numbers = {name: float(f"{value:.12g}") for name, value in medians.items()}
        centred = []
        for parameter in self.parameters:
            effects = tuple(
                replace(e, term=with_numbers(e.term, {name: numbers[name] for name in median_columns(e.term)}))
                if median_columns(e.term)
                else e
                for e in parameter.covariates
            )
            centred.append(replace(parameter, covariates=effects))
        return self._edit(parameters=tuple(centred))

    def without_values(self) -> Model:
        """What is stated apart from where a fit starts: every value that is not fixed is found from the data."""
        parameters = []
        for p in self.parameters:
            kept = p.fixed_parts
            parameters.append(
                replace(
                    p,
                    value=p.value if "value" in kept else None,
                    iiv=p.iiv if "iiv" in kept or p.iiv is None else True,
                    iov=p.iov if "iov" in kept or p.iov is None else True,
                    share=p.share if "share" in kept or p.share is None else (p.share[0], None),
                    covariates=tuple(e if e.fixed else replace(e, value=None) for e in p.covariates),
                )
            )
        errors = [e.with_values({name: None for name in e.names if name not in e.fixed}) for e in self.errors]
        blocks = [b if b.fixed else Block(*b.names, level=b.level) for b in self.correlate]
        return self._edit(parameters=parameters, error=errors, correlate=blocks)

    def without_random_effects(self) -> Model:
        """The naive pooled model: every subject has the typical parameters."""
        return self._with_parameters(_changed(p, iiv=None, iov=None, share=None) for p in self.parameters)

    # -- printing ----------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        lines = [f"    {self.structure!r},", "    ["]
        for parameter in self.parameters:
            lines += _printed("wb.Parameter(", parameter.arguments(), "),", indent=8)
        lines.append("    ],")
        if len(self.errors) == 1:
            lines.append(f"    error={self.error!r},")
        else:
            pairs = zip(self.structure.responses, self.errors, strict=True)
            lines += _printed("error={", [f"{_quoted(name)}: {error!r}" for name, error in pairs], "},", indent=4)
        if self.correlate:
            lines.append(f"    correlate=[{', '.join(map(repr, self.correlate))}],")
        if self.blq is not None:
            lines.append(f"    blq={_quoted(self.blq)},")
        return "wb.Model(\n" + "\n".join(lines) + "\n)"


@lru_cache(maxsize=256)
def _names_of_others(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Names of parameters that estimates of others have, and of what."""
    stems = {"iiv": "the standard deviation of η", "iov": "that between occasions", "share": "the share"}
    reserved = {f"{stem}_{name}": f"{what} of {name}" for stem, what in stems.items() for name in names}
    if any(name.startswith("corr_") for name in names):
        pairs = [(a, b) for a in names for b in names if a != b]
        for stem in ("corr", "corr_iov"):
            reserved |= {f"{stem}_{a}_{b}": f"the correlation of {a} and {b}" for a, b in pairs}
    return tuple((name, reserved[name]) for name in names if name in reserved)


def _usual(structure: Structure) -> tuple[Parameter, ...]:
    """The parameters of a structure as they are where nothing is said about them."""
    return tuple(Parameter(info.name, iiv=True, transform=info.transform) for info in structure.info)


def _changed(parameter: Parameter, **changes: Any) -> Parameter:
    """A parameter with other fields, and without what they make meaningless; see `Model.with_parameter`."""
    if changes.get("iiv") not in (None, False):
        changes.setdefault("share", None)
    if changes.get("share") is not None:
        changes.setdefault("iiv", None)
    if changes.get("transform", parameter.transform) != parameter.transform:
        changes.setdefault("bounds", None)
    if "fixed" not in changes:
        now = {part: changes.get(part, getattr(parameter, part)) for part in ("iiv", "iov", "share")}
        share = now["share"]
        now["share"] = share[1] if isinstance(share, tuple | list) and len(share) == 2 else None
        gone = [part for part, value in now.items() if value is None or isinstance(value, bool)]
        changes["fixed"] = tuple(part for part in parameter.fixed_parts if part not in gone)
    try:
        return replace(parameter, **changes)
    except TypeError:
        allowed = [field for field in Parameter.__dataclass_fields__ if field != "name"]
        raise ModelError(f"A parameter has {', '.join(allowed)}; got {', '.join(changes)}.") from None


def _printed(begin: str, parts: Sequence[str], end: str, indent: int) -> list[str]:
    """Code with arguments: on one line where that is not too long, else on a line each."""
    pad = " " * indent
    line = f"{pad}{begin}{', '.join(parts)}{end}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{pad}{begin}", *(f"{pad}    {part}," for part in parts), f"{pad}{end}"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
