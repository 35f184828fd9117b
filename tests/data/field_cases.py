# ruff: noqa: E501
"""Small files as they come from the field: what is read of them, and what is said.

`python tests/data/field_cases.py` writes FIELD.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """A file of one kind.

    Attributes
    ----------
    kind, name : str
    text : str
        The file.
    options : mapping
        Arguments of `read_data`.
    read : str
        Subjects, observations, doses, censored: "2 subjects, 4 observations, 2 doses".
    said : tuple of str
        Parts of what history or findings say.
    times : tuple of float, optional
        Times of all records, in order.
    seen : tuple of float, optional
        The responses that count.
    units, roles : mapping
        What must be among the units and roles.
    refused : str
        Part of the DataError, where the file must be refused.
    """

    kind: str
    name: str
    text: str
    read: str = ""
    said: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    times: tuple[float, ...] | None = None
    seen: tuple[float, ...] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


TWO = "1,0,100,.\n1,1,.,5.1\n1,4,.,3.2\n2,0,100,.\n2,1,.,6.1\n2,4,.,4.0\n"
FOUR = "2 subjects, 4 observations, 2 doses"
FIVE = (5.1, 3.2, 6.1, 4.0)

CASES = [
    # -- comments and excluded rows ------------------------------------------------------------------------------
    Case("comments", "column C", "C,ID,TIME,AMT,DV\n.,1,0,100,.\n.,1,1,.,5.1\nC,1,2,.,99\n.,1,4,.,3.2\n"
         ".,2,0,100,.\n.,2,1,.,6.1\n.,2,4,.,4\n", FOUR, ("1 row left out: marked C in column C",), seen=FIVE),
    Case("comments", "# lines", "# from the lab\nID,TIME,AMT,DV\n1,0,100,.\n1,1,.,5.1\n#1,2,.,99\n1,4,.,3.2\n"
         "2,0,100,.\n2,1,.,6.1\n2,4,.,4\n# end\n", FOUR, ("3 rows left out: comments",), seen=FIVE),
    Case("comments", "header #ID", "#ID,TIME,AMT,DV\n" + TWO, FOUR, (), seen=FIVE),
    Case("comments", 'header "#ID"', '"#ID","TIME","AMT","DV"\n' + TWO, FOUR, (), seen=FIVE),
    Case("comments", "## above", "## study 7\n## cohort 2\nID,TIME,AMT,DV\n" + TWO, FOUR, ("2 rows left out",), seen=FIVE),
    Case("comments", "CID", "CID,TIME,AMT,DV\n" + TWO + "C2,6,.,77\n", FOUR,
         ("column 'CID' is ID", "1 row left out: marked C"), seen=FIVE, roles={"subject": "ID"}),
    Case("comments", "@ marks", "ID,TIME,AMT,DV\n@1,9,.,99\n" + TWO, FOUR, ("1 row left out: comments",), seen=FIVE),
    Case("comments", "C before the row", "ID,TIME,AMT,DV\nC,1,9,.,99\n" + TWO, FOUR, ("1 row left out",), seen=FIVE),
    Case("comments", "EXCLUDE flags", "ID,TIME,DV,EXCLUDE\n1,0,3,0\n1,1,99,1\n1,2,2,0\n2,0,4,0\n2,1,3,0\n",
         "2 subjects, 4 observations", ("1 row left out: marked 1 in column EXCLUDE",), seen=(3, 2, 4, 3)),
    # -- missing-value codes -------------------------------------------------------------------------------------
    Case("codes", "-99, -1, 999", "ID,TIME,DV,WT,CRCL,AGE\n1,0,5,70,90,34\n1,1,4,70,90,34\n2,0,6,-99,-1,999\n"
         "2,1,5,-99,-1,999\n3,0,6,60,80,40\n3,1,-99,60,80,40\n", "3 subjects, 6 observations",
         ("-99 in 2 rows", "-1 in 2 rows", "999 in 2 rows", "-99 in 1 row")),
    Case("codes", "read as missing", "ID,TIME,DV,WT\n1,0,5,70\n1,1,4,70\n2,0,6,-99\n2,1,5,-99\n3,0,6,60\n3,1,-99,60\n",
         "3 subjects, 5 observations", ("missing; filled",), {"mends": ("read_codes_as_missing", "drop_missing_responses")},
         seen=(5, 4, 6, 5, 6)),
    Case("codes", "0 for a weight, 9999, 1E+30", "ID,TIME,DV,WT,ALT,CRP\n1,0,5,70,20,3\n1,1,4,70,20,3\n2,0,6,0,9999,1E+30\n"
         "2,1,5,0,9999,1E+30\n3,0,6,60,31,4\n3,1,3,60,31,4\n", "3 subjects, 6 observations",
         ("0 in 2 rows", "9999 in 2 rows", "1e+30 in 2 rows")),
    Case("codes", "unknown as a level", "ID,TIME,DV,SEX,WT\n1,0,5,M,70\n1,1,4,M,70\n2,0,6,unknown,?\n2,1,5,unknown,?\n"
         "3,0,6,F,60\n3,1,3,F,60\n", "3 subjects, 6 observations", ("'unknown' is read as a level", "words among numbers (?)")),
    Case("codes", "a slip of the unit", "ID,TIME,DV,WT\n" + "".join(
        f"{i},{t},{5 - t},{w}\n" for i, w in enumerate((70, 65000, 72, 81, 60, 75), 1) for t in (0, 1)),
        "6 subjects, 12 observations", ("65000 among values near 72",)),
    Case("codes", "a code for an amount", "ID,TIME,AMT,DV\n1,0,100,.\n1,1,-99,5.1\n1,4,-99,3.2\n2,0,100,.\n2,1,-99,6.1\n"
         "2,4,-99,4\n", refused="an amount of -99 is a code", options={}),
    Case("codes", "no codes: a change from baseline", "ID,TIME,DV\n1,0,-1\n1,1,2\n1,2,-3\n2,0,1\n2,1,-1\n2,2,4\n",
         "2 subjects, 6 observations"),
    # -- limits --------------------------------------------------------------------------------------------------
    Case("limits", "<0.05", "ID,TIME,DV\n1,0,5\n1,24,<0.05\n2,0,6\n2,24,< 0.05\n3,0,6\n3,24,\"<0,05\"\n",
         "3 subjects, 6 observations, 3 censored", ("3 values below the limit (0.05)",), seen=(5, 0.05, 6, 0.05, 6, 0.05)),
    Case("limits", "<0,1 among decimal commas", "ID;ZEIT;DV\n1;0;5,5\n1;1;<0,1\n2;0;4,5\n2;1;3,5\n",
         "2 subjects, 4 observations, 1 censored", ("decimal comma", "1 value below the limit (0.1)"), seen=(5.5, 0.1, 4.5, 3.5)),
    Case("limits", "BLQ, its limit unknown", "ID,TIME,DV\n1,0,5\n1,24,BLQ\n2,0,6\n2,24,ND\n", refused="'BLQ'"),
    Case("limits", "BLQ, its limit stated", "ID,TIME,DV\n1,0,5\n1,24,BLQ\n2,0,6\n2,24,n.d.\n",
         "2 subjects, 4 observations, 2 censored", ("2 values below the limit (0.1)",), {"lloq": 0.1}, seen=(5, 0.1, 6, 0.1)),
    Case("limits", "BLQ beside an LLOQ column that changes", "ID,TIME,DV,LLOQ\n1,0,5,.1\n1,24,BLOQ,.1\n2,0,6,.2\n2,24,<LLOQ,.2\n",
         "2 subjects, 4 observations, 2 censored", ("2 values below the limit (0.1, 0.2)",), seen=(5, 0.1, 6, 0.2)),
    Case("limits", "flags and empty DV beside EVID", "ID,TIME,EVID,AMT,DV,BLQFL,LLOQ\n1,0,1,100,,N,\n1,1,0,,5,N,.1\n1,9,0,,,Y,.1\n"
         "2,0,1,100,,N,\n2,1,0,,6,N,.1\n2,9,0,,0,Y,.1\n", "2 subjects, 4 observations, 2 doses, 2 censored",
         ("2 values below the limit (0.1)",), seen=(5, 0.1, 6, 0.1)),
    Case("limits", "flags, measured values", "ID,TIME,DV,BLQ\n" + "".join(
        f"{i},0,5,0\n{i},9,{v},1\n" for i, v in enumerate((0.011, 0.023, 0.034, 0.042), 1)),
        "4 subjects, 8 observations, 4 censored", ("as measured values do: the limit is not known",)),
    Case("limits", "MDV 1 where BLQ", "ID,TIME,DV,MDV,BLQ\n1,0,5,0,0\n1,9,0.1,1,1\n2,0,6,0,0\n2,9,0.1,1,1\n",
         "2 subjects, 2 observations", ("2 marked as below or above a limit, but MDV says",)),
    Case("limits", "above", "ID,TIME,DV,CENS\n1,0,90,-1\n1,9,5,0\n2,0,>90,0\n2,9,6,0\n",
         "2 subjects, 4 observations, 2 censored", ("2 values above the limit (90)",)),
    Case("limits", "0.05*", "ID,TIME,DV\n1,0,5\n1,9,0.05*\n2,0,6\n2,9,0.05*\n", refused="2 values with a mark (0.05*)"),
    Case("limits", "0.05* is below", "ID,TIME,DV\n1,0,5\n1,9,0.05*\n2,0,6\n2,9,0.05*\n",
         "2 subjects, 4 observations, 2 censored", ("2 values below",), {"mends": ("read_marked_as_below",)}),
    Case("limits", "not marked", "ID,TIME,DV,LLOQ\n1,0,5,.1\n1,9,0.04,.1\n2,0,6,.1\n2,9,0.3,.1\n",
         "2 subjects, 4 observations", ("1 value lies below the limit without a mark",)),
    # -- where the table stands ----------------------------------------------------------------------------------
    Case("layout", "units row", "ID,TIME,AMT,DV,WT\n,h,mg,ng/mL,kg\n" + "".join(f"{line},70\n" for line in TWO.split()), FOUR,
         ("row 2 holds units",), seen=FIVE, units={"time": "h", "amount": "mg", "response": "ng/mL", "WT": "kg"}),
    Case("layout", "units row in brackets", "ID,TIME,AMT,DV\n[-],[hr],[mg],[ug/mL]\n" + TWO, FOUR, ("row 2 holds units",),
         seen=FIVE, units={"time": "h", "response": "ug/mL"}),
    Case("layout", "sep=;", "sep=;\nID;TIME;AMT;DV\n" + TWO.replace(".\n", "\n").replace(",.,", ",,").replace(",", ";")
         .replace(".", ","), FOUR, ("decimal comma",), seen=FIVE),
    Case("layout", "titles and notes", "Study 001,,,\n,,,\nID,TIME,AMT,DV\n" + TWO + "* measured twice\nSource: the lab,,,\n",
         FOUR, ("rows left out: above or below the header", "2 rows left out: notes"), seen=FIVE),
    Case("layout", "a NONMEM table, header repeated", "TABLE NO.  1\n ID TIME DV MDV\n  1 0 0 1\n  1 1 5.1 0\n  1 4 3.2 0\n"
         "TABLE NO.  1\n ID TIME DV MDV\n  2 1 6.1 0\n  2 4 4.0 0\n", "2 subjects, 4 observations",
         ("1 row left out: repeated headers",), seen=FIVE),
    Case("layout", "a NONMEM table of replicates", "TABLE NO.  1\n ID TIME DV\n  1 1 5.1\n  1 4 3.2\n  2 1 6.1\n  2 4 4.0\n"
         "TABLE NO.  1\n ID TIME DV\n  1 1 7.1\n  1 4 2.2\n  2 1 8.1\n  2 4 3.0\n", "2 subjects, 4 observations",
         ("5 rows left out: repeated headers, and tables that begin anew",), seen=FIVE),
    Case("layout", "no header", TWO.replace("\n", ",77\n"), FOUR, ("1 column without a name",),
         {"names": ("ID", "TIME", "AMT", "DV")}, seen=FIVE),
    Case("layout", "descriptions under the header", "ID,TIME,AMT,DV\nSubject number,Hours after dose,Dose given,Concentration\n"
         + TWO, FOUR, ("1 row left out: above or below the header",), seen=FIVE),
    # -- wide tables ---------------------------------------------------------------------------------------------
    Case("wide", "times across", "ID,0.5,1,2 h\n1,5,4,3\n2,6,5,\n", refused="this looks wide: 2 subjects × 3 times"),
    Case("wide", "times across, stacked", "ID,WT,t0.5,t1,t2\n1,70,5,4,3\n2,60,6,5,\n", "2 subjects, 5 observations",
         ("1 empty cells left out",), {"mends": ("stack_times",)}, times=(0.5, 1, 2, 0.5, 1), seen=(5, 4, 3, 6, 5)),
    Case("wide", "subjects across", "time,S1,S2\n0,5,6\n1,4,5\n", refused="this looks wide: 2 subjects × 2 times"),
    Case("wide", "subjects across, stacked", "time,S1,S2\n0,5,6\n1,4,5\n", "2 subjects, 4 observations", ("the subjects across",),
         {"mends": ("stack_subjects",)}, seen=(5, 4, 6, 5)),
    Case("wide", "responses across", "ID,TIME,AMT,PARENT,METAB\n1,0,100,.,.\n1,1,.,5,1\n1,2,.,4,2\n2,0,100,.,.\n2,1,.,6,1\n"
         "2,2,.,5,2\n", "2 subjects, 8 observations, 2 doses", ("2 responses across",), {"mends": ("stack_responses",)}),
    # -- several responses ---------------------------------------------------------------------------------------
    Case("responses", "observations in two compartments", "ID,TIME,EVID,AMT,DV,CMT\n1,0,1,100,.,1\n1,1,0,.,4.6,1\n1,1,0,.,75,2\n"
         "1,2,0,.,4.1,1\n1,2,0,.,76,2\n", "1 subjects, 4 observations, 1 doses", ("compartments 1 and 2 are taken as 2 responses",)),
    Case("responses", "Analyte, the dose on the rows of each", "ID,time,DV,Analyte,DOSE\n1,0,0,Parent,2000\n1,1,21,Parent,0\n"
         "1,4,15,Parent,0\n1,0,0,Metabolite,2000\n1,1,1.2,Metabolite,0\n1,4,6.1,Metabolite,0\n",
         "1 subjects, 4 observations, 1 doses", ("counted once, 1 left out",), seen=(21, 1.2, 15, 6.1)),
    Case("responses", "MATRIX", "ID,TIME,DV,MATRIX\n1,1,5,plasma\n1,1,50,urine\n1,2,4,plasma\n1,2,60,urine\n",
         "1 subjects, 4 observations", roles={"response_id": "MATRIX"}),
    Case("responses", "TYPE tells the rows apart", "ID,TIME,DV,TYPE\n1,1,5,1\n1,1,50,2\n1,2,4,1\n1,2,60,2\n2,1,5,1\n2,1,50,2\n",
         "2 subjects, 6 observations", roles={"response_id": "TYPE"}),
    Case("responses", "FLAG on other scales", "ID,TIME,DV,FLAG\n1,1,5,1\n1,2,50,2\n1,3,4,1\n1,4,60,2\n2,1,5,1\n2,2,50,2\n",
         "2 subjects, 6 observations", roles={"response_id": "FLAG"}),
    Case("responses", "a further response beside", "ID,TIME,CONC,EFFECT\n1,0,5,50\n1,1,4,40\n2,0,6,60\n2,1,5,55\n",
         "2 subjects, 4 observations", ("EFFECT looks like a further response beside CONC",)),
    Case("responses", "another column tells the rows apart", "ID,TIME,DV,LAB\n1,1,5,a\n1,1,6,b\n1,2,4,a\n1,2,5,b\n2,1,5,a\n"
         "2,1,7,b\n", "2 subjects, 6 observations", ("differ in LAB: several responses in one?",)),
    Case("responses", "chicks in broods", "BroodID,ChickID,age,mass\n" + "".join(
        f"B{c // 2},C{c},{t},{10 + t + c}\n" for c in range(4) for t in (1, 3, 5)), "4 subjects, 12 observations",
        ("is BroodID the subject, ChickID its occasion?",), roles={"subject": "ChickID", "time": "age", "response": "mass"}),
    # -- dates and clocks ----------------------------------------------------------------------------------------
    Case("dates", "05-JAN-24", "ID,DATE,TIME,DV\n1,05-JAN-24,08:00,5\n1,05-JAN-24,10:30,4\n1,06-JAN-24,08:00,3\n",
         "1 subjects, 3 observations", times=(0, 2.5, 24)),
    Case("dates", "5. Mai 2024", "ID;DATUM;ZEIT;DV\n1;5. Mai 2024;8:00;5\n1;5. Mai 2024;9:30;4\n1;6. Mai 2024;8:00;3\n",
         "1 subjects, 3 observations", times=(0, 1.5, 24)),
    Case("dates", "turn of the century", "ID,DATE,TIME,DV\n1,12/30/99,8:00,5\n1,12/31/99,8:00,4\n1,1/1/00,8:00,3\n",
         "1 subjects, 3 observations", times=(0, 24, 48)),
    Case("dates", "am and pm", "ID,DATE,TIME,DV\n1,2024-01-05,12:00 AM,5\n1,2024-01-05,12:30 PM,4\n1,2024-01-05,1 pm,3\n",
         "1 subjects, 3 observations", times=(0, 12.5, 13)),
    Case("dates", "DAT1", "ID,DAT1,TIME,DV\n1,10-1-86,9:15,1\n1,11-1-86,8:30,3\n", "1 subjects, 2 observations", times=(0, 23.25)),
    Case("dates", "DAT2", "ID,DAT2,TIME,DV\n1,86-1-10,9:15,1\n1,86-1-11,8:30,3\n", "1 subjects, 2 observations", times=(0, 23.25)),
    Case("dates", "DATE of NM-TRAN", "ID,DATE,TIME,DV\n1,10-1,9:15,1\n1,10-2,8,3\n", "1 subjects, 2 observations",
         ("month first, as NM-TRAN",), times=(0, 22.75)),
    Case("dates", "36:30", "ID,TIME,DV\n1,0:00,1\n1,23:00,2\n1,36:30,3\n", "1 subjects, 3 observations", times=(0, 23, 36.5)),
    Case("dates", "SAS", "ID,TIME,DV\n1,31JAN2024:22:00,1\n1,01FEB2024:01:00,2\n", "1 subjects, 2 observations", times=(0, 3)),
    Case("dates", "ISO with zones", "ID,TIME,DV\n1,2024-03-31T00:30:00+01:00,1\n1,2024-03-31T03:30:00+02:00,2\n",
         "1 subjects, 2 observations", times=(0, 2)),
    Case("dates", "plain hours that start anew each day", "ID,DATE,TIME,DV\n1,2024-01-05,8,1\n1,2024-01-05,20.5,2\n"
         "1,2024-01-06,8,3\n", "1 subjects, 3 observations", times=(0, 12.5, 24), roles={"covariates": ()}),
    Case("dates", "a date beside running times", "ID,DATE,TIME,DV\n1,2024-01-05,0,1\n1,2024-01-05,12,2\n1,2024-01-06,24,3\n",
         "1 subjects, 3 observations", times=(0, 12, 24), roles={"covariates": ()}),
    Case("dates", "days of Excel and parts of them", "ID,DATE,TIME,DV\n1,45296,0.25,1\n1,45296,0.75,2\n1,45297,0.25,3\n",
         "1 subjects, 3 observations", ("parts of a day",), times=(0, 12, 24)),
    Case("dates", "day or month first", "ID,Sampled,DV\n1,01/02/2024 8:00,1\n1,02/02/2024 8:00,2\n", refused="cannot be told apart",
         options={"roles": {"time": "Sampled"}}),
    Case("dates", "day first, stated", "ID,Sampled,DV\n1,01/02/2024 8:00,1\n1,02/02/2024 8:00,2\n", "1 subjects, 2 observations",
         options={"roles": {"time": "Sampled"}, "dates": "dmy"}, times=(0, 24)),
    # -- names ---------------------------------------------------------------------------------------------------
    Case("names", "ADPPK", "USUBJID,EVID,MDV,CMT,AFRLT,DV,AMT,BLQFN,LLOQ,WTBL\nA-1,1,1,1,0,,100,0,,70\nA-1,0,0,2,1,5.1,,0,.05,70\n"
         "A-1,0,0,2,24,,,1,.05,70\n", "1 subjects, 2 observations, 1 doses, 1 censored", ("1 value below the limit (0.05)",),
         roles={"time": "AFRLT", "censor": "BLQFN", "limit": "LLOQ"}),
    Case("names", "ADPC", "USUBJID,PARAMCD,AFRLT,NFRLT,AVAL,AVALU,DOSEA,ALLOQ,AVALC\nA,X,1,1,5.1,ug/mL,100,.05,5.1\n"
         "A,X,24,24,,ug/mL,100,.05,<0.05\n", "1 subjects, 2 observations, 1 doses, 1 censored", ("as column AVALC says",),
         units={"response": "ug/mL"}, roles={"response": "AVAL", "dose": "DOSEA", "limit": "ALLOQ", "covariates": ()}),
    Case("names", "SDTM, EX above PC", "USUBJID,EXDOSE,EXSTDTC,EXENDTC,EXDOSFRQ,PCSTRESN,PCSTRESC,PCLLOQ,PCDTC\nA,54,2024-01-01T08:00,2024-01-14,QD,,,,\n"
         "A,,,,,5.1,5.1,.1,2024-01-01T09:00\nA,,,,,,<BLQ,.1,2024-01-02T08:00\n", "1 subjects, 2 observations, 1 doses, 1 censored",
         ("only the first of each is read", "times from EXSTDTC and PCDTC"), times=(0, 1, 24), seen=(5.1, 0.1)),
    Case("names", "Infusion_Time", "ID,time,DV,DOSE,Infusion_Time\n1,0,.,2000,2\n1,1,17.9,.,0\n1,3,25.3,.,0\n",
         "1 subjects, 2 observations, 1 doses", roles={"duration": "Infusion_Time"}),
    Case("names", "what looks like a duration", "ID,TIME,DV,AMT,INF_DUR_H2\n1,0,.,2000,2\n1,1,17.9,.,0\n1,3,25.3,.,0\n",
         "1 subjects, 2 observations, 1 doses", ("looks like the duration of infusions",)),
    Case("names", "Monolix", "ID,TIME,AMT,ADM,TINF,Y,YTYPE,CENS,LIMIT\n1,0,100,1,2,.,.,.,.\n1,1,.,.,.,5,1,0,.\n1,1,.,.,.,0.1,2,1,0\n",
         "1 subjects, 2 observations, 1 doses, 1 censored", roles={"response_id": "YTYPE", "duration": "TINF", "limit": "LIMIT"}),
    Case("names", "compartments by name", "id,time,amt,cmt,dv,evid\n1,0,100,depot,.,1\n1,1,.,central,5,0\n1,2,.,central,4,0\n",
         "1 subjects, 2 observations, 1 doses", ("compartments by name",)),
    Case("names", "units in the header", "ID,Time (h),Dose [mg],Conc mg/L\n1,0,100,\n1,1,,5\n1,2,,4\n",
         "1 subjects, 2 observations, 1 doses", units={"time": "h", "amount": "mg", "response": "mg/L"}),
    Case("names", "German", "Proband;Zeit [h];Dosis [mg];Konzentration (µg/L)\n1;0;100;\n1;1;;5,5\n1;2;;4,5\n",
         "1 subjects, 2 observations, 1 doses", seen=(5.5, 4.5), units={"response": "ug/L"}),
    Case("names", "French", "Sujet;Temps;Dose;Concentration\n1;0;100;\n1;1;;5,5\n1;2;;4,5\n", "1 subjects, 2 observations, 1 doses"),
    Case("names", "a rate in another time unit", "ID,TIME [min],AMT [mg],RATE [mg/h],DV\n1,0,100,60,.\n1,30,.,.,5\n1,60,.,.,4\n",
         refused="counted in mg/h"),
    # -- covariates and outliers ---------------------------------------------------------------------------------
    Case("covariates", "levels spelled in several ways", "ID,TIME,DV,SEX\n1,0,5,F\n1,1,4,F\n2,0,5,f\n2,1,4,f\n3,0,5,female\n3,1,4,female\n"
         "4,0,5,M\n4,1,4,M\n", "4 subjects, 8 observations", ("'F', 'f', 'female'",)),
    Case("covariates", "two that say the same", "ID,TIME,DV,SEX,SEXN\n" + "".join(
        f"{i},{t},{5 - t},{'MF'[i % 2]},{i % 2}\n" for i in range(1, 9) for t in (0, 1)), "8 subjects, 16 observations",
        ("SEX and SEXN say the same",)),
    Case("outliers", "980 among values below 40", "ID,TIME,DV\n" + "".join(
        f"{i},{t},{980 if (i, t) == (3, 2) else 40 - 5 * t + i}\n" for i in range(1, 6) for t in (0, 1, 2, 4)),
        "5 subjects, 20 observations", ("980 among values up to",)),
]  # fmt: skip
"""All cases, by kind."""


def table() -> str:
    """The cases as a table of Markdown."""
    lines = [
        "# Files from the field",
        "",
        "What is read of small files that stand for kinds met in the field, and what is said of them. Made by",
        "`python tests/data/field_cases.py`; `test_field.py` holds every line of it.",
        "",
        "| kind | file | options | read | said |",
        "|---|---|---|---|---|",
    ]
    for case in CASES:
        options = ", ".join(f"`{key}={value!r}`" for key, value in case.options.items())
        read = "refused" if case.refused else case.read
        said = "; ".join(case.said) or case.refused
        lines.append(f"| {case.kind} | {_cell(case.name)} | {_cell(options)} | {read} | {_cell(said)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


if __name__ == "__main__":
    path = Path(__file__).with_name("FIELD.md")
    path.write_text(table(), encoding="utf-8")
    sys.stdout.write(f"{len(CASES)} files in {path}\n")
