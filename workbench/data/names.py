"""Names of columns as people write them: which part each names, and the unit that stands in it.

Spellings of NONMEM, Monolix, Pumas, nlmixr2 and Phoenix, of CDISC (ADPPK, ADPC, SDTM EX and PC), and plain words, also
German and French.
"""

from __future__ import annotations

import re
import unicodedata

from workbench.data.units import looks_like_unit, tidied

SYNONYMS: dict[str, tuple[str, ...]] = {
    "subject": ("id", "usubjid", "subj", "subject", "subjectid", "subjid", "patient", "patientid", "individual",
                "participant", "participantid", "individualid", "patid", "pat", "ptid", "pid", "subjectno", "subjno",
                "subjectnumber", "volunteer", "animal", "animalid", "rat", "mouse", "dog", "monkey", "tree", "plant",
                "plot", "seed", "chick", "cow", "calf", "pig", "lamb", "sheep", "fish", "bird", "seedling",
                "leaf", "larva", "child", "girl", "boy", "proband", "probandid", "probandennummer", "tier",
                "versuchstier", "sujet", "identifiant", "usubjidn", "subjidn"),
    "time": ("time", "datetime", "clocktime", "t", "afrlt", "aftfd", "tafd", "tsfd", "hours", "hour", "hrs", "hr",
             "days", "weeks", "minutes", "timehr", "timeh", "actualtime", "elapsedtime", "relativetime",
             "timesincefirstdose", "timeafterfirstdose", "timepoint", "sampletime", "samplingtime", "time1", "zeit",
             "zeitpunkt", "stunde", "stunden", "temps", "heure", "heures", "nfrlt", "arrlt", "nrrlt", "aprlt", "nprlt",
             "nominaltime", "ntime", "timestamp", "dtm", "sampledatetime", "dtc", "pcdtc", "adtm", "exstdtc",
             "pctptnum", "clock", "clockhours", "clockhour", "tod", "timeofday", "atm", "uhrzeit", "hhmm", "horaire",
             "heuredelajournee", "sampleclock", "clockt", "tad", "dpi", "dap", "das", "age", "ageday",
             "agedays", "ageweeks", "agemonths", "day", "week", "month", "months", "year", "years", "tage", "woche",
             "wochen", "monat", "monate", "jours", "semaine", "semaines", "mois"),
    "date": ("date", "day", "dat1", "dat2", "dat3", "adt", "sampledate", "visitdate", "datum", "jour", "tag"),
    "response": ("dv", "conc", "concentration", "response", "y", "cp", "cobs", "obs", "observation", "value", "aval",
                 "pcstresn", "concn", "concs", "concentrations", "plasmaconc", "plasmaconcentration", "serumconc",
                 "cplasma", "cpobs", "dvobs", "result", "measurement", "konz", "konzentration", "messwert",
                 "plasmakonzentration", "spiegel", "concentrationplasmatique", "mesure", "valeur", "wert", "mass",
                 "height", "circumference", "length", "size", "weight", "biomass", "diameter", "density"),
    "amount": ("amt", "amount", "dose", "exdose", "dosea", "doseamt", "doseamount", "dosis", "menge", "quantite",
               "dosep"),
    "dose": ("dose", "amt", "amount", "dosea", "exdose", "doseamt", "doseamount", "dosis", "dosep"),
    "dose_time": (),
    "evid": ("evid", "eventid"),
    "mdv": ("mdv",),
    "compartment": ("cmt", "compartment", "adm", "cmpt", "kompartiment", "compartiment"),
    "rate": ("rate", "infusionrate", "infrate", "rateinf", "inputrate", "infusionsrate", "debit", "debitperfusion"),
    "duration": ("dur", "duration", "tinf", "infusiontime", "infusionduration", "infdur", "inftime", "infdurn",
                 "durinf", "tinfusion", "infusionlength", "lengthofinfusion", "durationofinfusion", "exdur",
                 "infusionsdauer", "infusionszeit", "dureeperfusion", "infhours", "infusionhours"),
    "additional": ("addl", "additionaldoses", "naddl"),
    "interval": ("ii", "tau", "interval", "dosinginterval", "doseinterval", "interdoseinterval", "dosierungsintervall"),
    "steady_state": ("ss", "steadystate"),
    "occasion": ("occ", "occasion", "iov"),
    "censor": ("cens", "censor", "censored", "censoring", "blq", "bloq", "bql", "blqfn", "blqfl", "blqflag", "bloqfl",
               "bloqfn", "bloqflag", "bqlflag", "blqyn", "blqn", "lloqfl", "lloqflag", "belowlloq", "belowloq",
               "belowlimit", "isblq", "censflag", "bloqf", "blqf"),
    "limit": ("limit", "lloq", "loq", "alloq", "pclloq", "lloqn", "lloqvalue", "loqvalue", "lowerlimit", "lod",
              "quantificationlimit", "limitofquantification", "bestimmungsgrenze", "blqlimit"),
    "response_id": ("dvid", "ytype", "dvname", "analyte", "analytename", "paramcd", "pctestcd", "dvtype", "obsid",
                    "obsname", "yname", "compound", "moiety", "substance", "endpoint", "outcome", "species", "param",
                    "pctest", "paramn", "dvidn", "analyt", "type", "flag", "matrix", "pcspec", "specimen", "tissue",
                    "fluid", "sampletype", "variable", "measure", "assay", "parameter", "parametername"),
}  # fmt: skip
"""The single-column roles, with the names (as `plain` gives them) by which a column is recognised, best first."""

UNSURE = frozenset((
    "age", "day", "days", "weeks", "hours", "hour", "hrs", "hr", "minutes", "tad", "tafd", "t", "y", "value", "obs",
    "result", "measurement", "wert", "valeur", "mesure", "mass", "height", "length", "size", "circumference", "tag",
    "dpi", "dap", "das", "week", "month", "months", "year", "years", "tage", "woche", "wochen", "monat", "monate",
    "jours", "semaine", "semaines", "mois", "ageday", "agedays", "ageweeks", "agemonths", "chick", "cow", "calf", "pig",
    "lamb", "sheep", "fish", "bird", "seedling", "leaf", "larva", "child", "girl", "boy",
    "pat", "dog", "rat", "mouse", "tier", "volunteer", "weight", "biomass", "diameter", "density",
))  # fmt: skip
"""Names with other common meanings: they count only where the content fits."""

WEAK_LABELS = frozenset((
    "type", "flag", "species", "variable", "measure", "assay", "param", "parameter", "parametername", "pctest",
    "paramn", "dvidn", "outcome", "endpoint", "compound", "substance",
))  # fmt: skip
"""Names that tell responses apart only where the rows show it."""

GROWN = frozenset(("mass", "height", "circumference", "length", "size", "weight", "biomass", "diameter", "density"))
"""What is measured where nothing is dosed; beside doses it is a covariate."""

EXCLUSION = frozenset((
    "c", "com", "comm", "ign", "ignore", "excl", "exclude", "excluded", "exclf", "exclfl", "exclfn", "excludefl",
    "omit", "drop", "exclusion", "exclusionfl", "exclusionflag", "exclflag", "excludeflag", "exclud", "deleted",
))  # fmt: skip
"""Columns whose marks leave a row out."""

INCLUSION = frozenset(("include", "included", "incl", "inclfl", "includeflag", "inclusion", "keep", "use", "used"))
"""Columns whose marks keep a row; without one it may be meant to be left out."""

REMARKS = frozenset((
    "comment", "comments", "remark", "remarks", "note", "notes", "kommentar", "bemerkung", "commentaire", "remarque",
    "exclcom", "exclfcom", "reason",
))  # fmt: skip

OF_DAY = frozenset((
    "clock", "clocktime", "clockhours", "clockhour", "tod", "timeofday", "atm", "uhrzeit", "hhmm", "horaire",
    "heuredelajournee", "sampleclock", "clockt",
))  # fmt: skip
"""Names of times of day."""

BESIDE_TIME = frozenset((
    *OF_DAY,
    "nfrlt", "arrlt", "nrrlt", "aprlt", "nprlt", "mrrlt", "ntime",
    "nominaltime", "atptn", "pctptnum", "timenominal", "adtm", "pcdtc", "udtc", "atpt", "pctpt", "adt", "atm",
    "exstdtc", "exendtc",
    "ady", "pcdy", "visitdy", "exstdy", "exendy", "dmdy",
))  # fmt: skip
"""Times beside the one that counts: never covariates."""

BESIDE_RESPONSE = frozenset((
    "aval", "dvl", "ldv", "lndv", "logdv", "lnconc", "logconc", "lnc", "dvor", "base", "chg", "pchg", "pcstresn",
    "avalc", "pcorres", "pcstresc", "dvc", "dvtxt", "dvtext", "conctext", "avalcat1", "cwres", "pred", "ipred",
    "res", "wres", "iwres", "ires", "cpred", "npde",
))  # fmt: skip
"""Forms of the response beside the one that counts: never covariates."""

RESPONSE_LIKE = frozenset(
    ("effect", "pca", "inr", "pd", "biomarker", "metabolite", "metab", "parent", "response2", "y2")
)
"""What is measured beside concentrations, and is no covariate where it changes from record to record."""

RESPONSE_TEXT = ("avalc", "pcstresc", "pcorres", "dvc", "dvtxt", "dvtext", "conctext", "concc", "dvor", "avalcat1")
"""Columns that hold the response as it was reported, with its words for "below the limit"."""

RESPONSE_UNIT = ("avalu", "pcstresu", "dvu", "dvunit", "concu", "concunit", "unit", "units", "pcorresu", "einheit")
AMOUNT_UNIT = ("doseu", "exdosu", "amtu", "doseunit", "amtunit")
TIME_UNIT = ("timeu", "timeunit", "frltu", "rrltu")

BOOKKEEPING = frozenset((
    "studyid", "studyidn", "projid", "projidn", "domain", "seq", "aseq", "pcseq", "exseq", "recseq", "lineno",
    "line", "rown", "row", "obsnum", "recno", "record", "srcdom", "srcvar", "srcseq", "paramn", "param", "parcat1",
    "dtype", "basetype", "pcnam",
))  # fmt: skip
"""Columns that number or label rows: never covariates."""

_NO_SUFFIX = ("M", "C", "U", "L", "m", "s", "d", "y", "l", "g", "F", "lb", "mo")  # SEX_M and the like are no units
_LOOKS = {
    "duration": re.compile(
        r"^inf(us|usion)?(h|hr|hrs|hours|min|minutes)?$|(inf|perf).*(dur|time|len|zeit|dauer|h$)|^(dur|tinf|duree)|(dur|duration|dauer)$"
    ),
    "rate": re.compile(r"(inf|dose|input|pump).*rate|^rate|rate.*inf|flowrate"),
    "censor": re.compile(r"^(blq|bloq|bql|cens|bdl|nd$|alq|aloq)|(blq|bloq|bql|cens)(fl|flag|fn|n|f)?$|below"),
    "end": re.compile(
        r"^(inf(usion)?|dose|ex)?(end|stop)(time|dtc)?$|^(time|t)(end|stop)|(end|stop)of?(inf|perf)|infusionsende"
    ),
    "limit": re.compile(r"lloq|^loq|loq$|^lod$|uloq"),
}


_LONG = 200


def plain(name: str) -> str:
    """A column name without its unit, case, accents or punctuation: "Time [h]", "time_h" and "time" are alike."""
    return bare(split_unit(name)[0])


def bare(name: str) -> str:
    """Letters and digits of a name, lower case, without accents."""
    folded = unicodedata.normalize("NFKD", str(name).replace("ß", "ss")).lower()
    return re.sub(r"[^a-z0-9]", "", folded)


def split_unit(name: str) -> tuple[str, str]:
    """A column name and the unit in it; "" where it has none.

    Examples
    --------
    >>> split_unit("Conc mg/L"), split_unit("CONC (ng/mL)"), split_unit("time_h"), split_unit("WT")
    (('Conc', 'mg/L'), ('CONC', 'ng/mL'), ('time', 'h'), ('WT', ''))
    """
    text = str(name).strip()
    if len(text) > _LONG:  # no name, and the patterns below would take long over it
        return text, ""
    if bracketed := re.fullmatch(r"(.*?)\s*[_.]?\s*[\[(]([^\[\]()]*(?:\([^()]*\))?[^\[\]()]*)[\])]\s*", text):
        base, inside = bracketed[1].strip(), bracketed[2].strip()
        return (base, tidied(inside) if looks_like_unit(inside) else "") if base else (text, "")
    worded = re.fullmatch(r"(.*?\S)(?:\s*,\s*|\s+)(?:in\s+)?(\S+)", text)
    if worded and looks_like_unit(worded[2]) and bare(worded[1]):
        return re.sub(r"\s+in$", "", worded[1]), tidied(worded[2])
    parts = re.split(r"[_.]+", text)
    for at in range(1, len(parts)):
        unit = "/".join(part for part in parts[at:] if part.lower() != "per")
        if looks_like_unit(unit) and unit not in _NO_SUFFIX and bare("_".join(parts[:at])):
            return "_".join(parts[:at]), tidied(unit)
    return text, ""


def looks_like(name: str) -> str:
    """The role of dosing or censoring that a name resembles, without being one of its known spellings; else ""."""
    text = plain(name)
    return next((role for role, pattern in _LOOKS.items() if pattern.search(text)), "")
