"""NONMEM's predictions of 26 ways to dose (`published/nmtests_dosing.json`), stated as models.

The source gives lag and bioavailability to doses into the central compartment (CMT 2) only, a library model to its
route (CMT 1). So the closed forms take the scenarios with one kind of dose, by their route, and an ODE takes all.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

import workbench as wb
from workbench.model.ode import Ode

from .material import REFERENCE, published

PREDICTED = "NONMEM_CP"

_VALUES = {"CL": 1.1e-3, "V": 20e-3, "ka": 1.5}  # the prediction is 1000·A/V
_CENTRAL = [wb.Parameter("lag", column="LAGT"), wb.Parameter("F", column="BIOAV")]
_LATER = {"lag": {"cen": "LAGT"}, "bioavailability": {"cen": "BIOAV"}}


def _ode(**dosing: dict[str, str]) -> Ode:
    text = "d/dt gut = -ka*gut; d/dt cen = ka*gut - CL/V*cen"
    columns = [column for table in dosing.values() for column in table.values()]
    structure: Ode = wb.ode(text, response="cen/V", covariates=columns, **dosing)
    return structure


def _known(structure: wb.model.Structure) -> list[wb.Parameter]:
    return [wb.Parameter(name, value) for name, value in _VALUES.items() if name in structure.names]


def _model(structure: wb.model.Structure, *others: wb.Parameter) -> wb.Model:
    return wb.Model(structure, [*_known(structure), *others], wb.Constant(1.0))


INTO_GUT = _model(wb.pk(absorption="first-order"))
INTO_CENTRAL = _model(wb.pk(lag=True, bioavailability=True), *_CENTRAL)
OVER_A_TIME = _model(
    wb.pk(absorption="zero-order", lag=True, bioavailability=True), wb.Parameter("Tk0", column="DUR2"), *_CENTRAL
)
BY_ODE = _model(_ode(**_LATER))
BY_ODE_OVER_A_TIME = _model(_ode(**_LATER, duration={"cen": "DUR2"}))


@dataclass(frozen=True, eq=False)
class Scenario:
    """One way to dose.

    Attributes
    ----------
    number : int
    title : str
    records : DataFrame
    closed : Model or None
        Its closed form; None where the library has none.
    ode : Model
    """

    number: int
    title: str
    records: pd.DataFrame
    closed: wb.Model | None
    ode: wb.Model

    def predicted(self, model: wb.Model) -> pd.DataFrame:
        """Predictions at the observations, ours and theirs."""
        records = self.records
        if "F" in model.structure.names:  # doses go into the central compartment, which is the only route there
            records = records.assign(CMT=1)
        data = wb.read_data(records, roles={"response": PREDICTED})
        observed = data.events.observed
        ours = wb.predict(model, data)["PRED"].to_numpy()[observed]
        return pd.DataFrame({"time": data.events.time[observed], "ours": ours, "theirs": data.events.dv[observed]})


def scenarios() -> list[Scenario]:
    """All 26."""
    known = published("nmtests_dosing")
    frame = pd.read_csv(REFERENCE / "data" / known["data"])
    found = []
    for number, mine in frame.groupby("ID"):
        doses = mine[mine["EVID"].isin((1, 4))]
        over_a_time = (doses["RATE"] == -2).any()  # a duration that the model states
        routes = set(doses["CMT"])
        closed = None
        if routes == {1}:
            closed = INTO_GUT
        elif routes == {2}:
            closed = OVER_A_TIME if over_a_time else INTO_CENTRAL
        ode = BY_ODE_OVER_A_TIME if over_a_time else BY_ODE
        found.append(Scenario(int(str(number)), known["scenarios"][str(number)], mine, closed, ode))
    return found
