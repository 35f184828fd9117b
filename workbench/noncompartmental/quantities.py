"""The quantities of a noncompartmental analysis: their names, CDISC's, their units, and what each is.

Names are those of WinNonlin; `F` in a name says that only the ratio to the bioavailability is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from workbench.data import units


class Quantity(NamedTuple):
    """One column of the table.

    Attributes
    ----------
    name : str
    cdisc : str
        PPTESTCD of CDISC's controlled terminology, "" where there is none.
    unit : str
        Kind: "time", "rate constant", "response", "area", "moment", "per dose", "area per dose", "volume",
        "clearance", or "" for a plain number.
    meaning : str
    """

    name: str
    cdisc: str
    unit: str
    meaning: str


def _pair(name: str, cdisc: str, unit: str, meaning: str) -> tuple[Quantity, Quantity]:
    """By the observed and by the predicted last concentration; CDISC ends them by O and P."""
    return (
        Quantity(f"{name}_obs", f"{cdisc}O" if cdisc else "", unit, f"{meaning}, from the last measured concentration"),
        Quantity(f"{name}_pred", f"{cdisc}P" if cdisc else "", unit, f"{meaning}, from the terminal line"),
    )


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("Dose", "", "amount", "amount given"),
    Quantity("Rsq", "R2", "", "R² of the terminal line"),
    Quantity("Rsq_adjusted", "R2ADJ", "", "R² adjusted for the number of points"),
    Quantity("Corr_XY", "CORRXY", "", "correlation of time and log concentration on the terminal line"),
    Quantity("No_points_lambda_z", "LAMZNPT", "", "points of the terminal line"),
    Quantity("Lambda_z", "LAMZ", "rate constant", "terminal rate constant"),
    Quantity("Lambda_z_lower", "LAMZLL", "time", "first time of the terminal line"),
    Quantity("Lambda_z_upper", "LAMZUL", "time", "last time of the terminal line"),
    Quantity("HL_Lambda_z", "LAMZHL", "time", "terminal half-life"),
    Quantity("Tlag", "TLAG", "time", "last time before the first measurable concentration"),
    Quantity("C0", "C0", "response", "concentration at time 0, extrapolated back"),
    Quantity("Tmax", "TMAX", "time", "time of the highest concentration"),
    Quantity("Cmax", "CMAX", "response", "highest concentration"),
    Quantity("Cmax_D", "CMAXD", "per dose", "highest concentration by dose"),
    Quantity("Tlast", "TLST", "time", "time of the last measurable concentration"),
    Quantity("Clast", "CLST", "response", "last measurable concentration"),
    Quantity("Clast_pred", "CLSTP", "response", "concentration on the terminal line at Tlast"),
    Quantity("AUClast", "AUCLST", "area", "area under the curve to Tlast"),
    Quantity("AUCall", "AUCALL", "area", "area to the last sample"),
    *_pair("AUCINF", "AUCIF", "area", "area to infinity"),
    *_pair("AUCINF_D", "AUCIF", "area per dose", "area to infinity by dose"),
    *_pair("AUC_%Extrap", "AUCPE", "", "per cent of the area beyond Tlast"),
    *_pair("AUC_%Back_Ext", "AUCPB", "", "per cent of the area before the first sample"),
    *_pair("Vz_F", "VZF", "volume", "volume by the terminal phase, by bioavailability"),
    *_pair("Cl_F", "CLF", "clearance", "clearance by bioavailability"),
    *_pair("Vz", "VZ", "volume", "volume by the terminal phase"),
    *_pair("Cl", "CL", "clearance", "clearance"),
    *_pair("Vss", "VSS", "volume", "volume at steady state, MRT × CL"),
    Quantity("AUMClast", "AUMCLST", "moment", "area under the first moment to Tlast"),
    *_pair("AUMCINF", "AUMCIF", "moment", "area under the first moment to infinity"),
    *_pair("AUMC_%Extrap", "AUMCPE", "", "per cent of the first moment beyond Tlast"),
    Quantity("MRTlast", "MRTLST", "time", "mean residence time to Tlast, less half the duration of an infusion"),
    *_pair("MRTINF", "MRTIF", "time", "mean residence time, less half the duration of an infusion"),
    Quantity("Tau", "TAU", "time", "interval between doses"),
    Quantity("AUC_TAU", "AUCTAU", "area", "area over the interval between doses"),
    Quantity("AUMC_TAU", "AUMCTAU", "moment", "area under the first moment over the interval between doses"),
    Quantity("AUC_TAU_D", "AUCTAUD", "area per dose", "area over the interval by dose"),
    Quantity("AUC_TAU_%Extrap", "", "", "per cent of it that was extrapolated"),
    Quantity("Ctau", "CTAU", "response", "concentration at the end of the interval"),
    Quantity("Tmin", "TMIN", "time", "time of the lowest concentration"),
    Quantity("Cmin", "CMIN", "response", "lowest concentration of the interval"),
    Quantity("Cavg", "CAVG", "response", "AUC_TAU / Tau"),
    Quantity("Swing", "SWING", "", "(Cmax - Cmin) / Cmin"),
    Quantity("Fluctuation%", "FLUCP", "", "100 (Cmax - Cmin) / Cavg"),
    Quantity("CLss_F", "CLFTAU", "clearance", "clearance at steady state by bioavailability, dose / AUC_TAU"),
    Quantity("CLss", "CLTAU", "clearance", "clearance at steady state, dose / AUC_TAU"),
    Quantity("Accumulation_Index", "AILAMZ", "", "1 / (1 - exp(-λz Tau))"),
    Quantity("Accumulation_Ratio", "ARAUC", "", "AUC_TAU by that after the first dose of the subject"),
)  # fmt: skip

# CDISC's names that the pattern above does not give: dose-normalised areas end by D, times and volumes name the route.
_CDISC = {"AUCINF_D_obs": "AUCIFOD", "AUCINF_D_pred": "AUCIFPD", "AUC_%Back_Ext_obs": "AUCPBEO",
          "AUC_%Back_Ext_pred": "AUCPBEP", "Vz_F_obs": "VZFO", "Vz_F_pred": "VZFP", "Cl_F_obs": "CLFO",
          "Cl_F_pred": "CLFP"}  # fmt: skip
_RESIDENCE = {"extravascular": "EV", "infusion": "IV", "bolus": "IV"}

BY_NAME: Mapping[str, Quantity] = {quantity.name: quantity for quantity in QUANTITIES}


def cdisc(name: str, route: str) -> str:
    """PPTESTCD of a quantity; its own name where CDISC has none."""
    if name.startswith("MRT"):
        return f"MRT{_RESIDENCE[route]}{'LST' if name == 'MRTlast' else 'IFO' if name.endswith('_obs') else 'IFP'}"
    return _CDISC.get(name, BY_NAME[name].cdisc) or name


def unit(name: str, given: Mapping[str, str]) -> str:
    """Unit of a quantity by those of the data (`GroupedData.units`); "" where they do not say."""
    kind = BY_NAME[name].unit
    time, response = given.get("time", ""), given.get("response", "")
    amount = given.get("amount", given.get("dose", ""))
    if kind in ("area", "moment", "area per dose"):
        if not time or not response:
            return ""
        area = f"{time}{'^2' if kind == 'moment' else ''}*{response}"
        return area if kind != "area per dose" else (f"{area}/({amount})" if amount else "")
    if kind == "per dose":
        return f"({response})/({amount})" if response and amount else ""
    return units.derived(given, kind)
