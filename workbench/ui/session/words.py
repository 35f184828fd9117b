"""Sentences of the floors below, in the words of the room: its controls instead of code; knows of no widgets."""

from __future__ import annotations

import re

_SAID: tuple[tuple[str, str], ...] = (
    (
        r"[Ss]ay what they mean with model\.with_blq\(…\)",
        "Choose how censored values count, under Residual error, Censored",
    ),
    (r"State it, or let wb\.initial_values\(model, data\) find it\.", "Type it, or press Automatic values."),
    (r"use model\.with_centred\(data\)", "type a number as the reference, under Covariates, Effects"),
    (r"state it(?: first)?: read_data\(…, units=\{[^}]*\}?\)?", "type it under Data, columns & units"),
    (r"use data\.convert\(time=[^)]*\)", "type another unit of time under Data, columns & units"),
    (r"; see fit\.rivals\.", "; Fit shows both."),
    (r"wb\.(?:pk|pkpd|equation|ode)\((?:[^()]|\([^()]*\))*\) (?=predicts|has)", "the structure "),
    (
        r"Use with_covariate\('([^']*)', '([^']*)', \"categorical\"\)\.",
        r"Choose the shape categorical for \2 on \1, under Covariates, Effects.",
    ),
    (
        r"Say which column numbers them, wb\.read_data\(…, roles=\{'occasion': …\}\), or use iov=None\.",
        "Choose the column that numbers them under Data, columns & units, or take the tick of κ away.",
    ),
    (r"Use iov=None, or fix one of them\.", "Take the tick of κ away, or fix one of them, under more."),
    (
        r"State the column of doses, roles=\{'amount': …\}, or one dose for every subject, "
        r"wb\.read_data\(…, dose=…\)\.",
        "Choose the column of doses under Data, columns & units, or a structure that needs none, under Model.",
    ),
    (
        r"State rates, or a structure with a duration such as wb\.pk\(absorption=\"zero-order\"\)\.",
        "Choose the absorption zero-order, under Model.",
    ),
    (
        r"Leave them out, take wb\.Combined2\(\), or state log_data=True if they are logarithms already\.",
        "Leave them out under Data, choose the error model combined2, or tick that data are logarithms.",
    ),
    (
        r"Leave them out, or state a floor, wb\.Exponential\(floor=…\)\.",
        "Leave them out under Data, or type a floor beside the residual error.",
    ),
    (
        r"Leave them out, or take wb\.Combined2\(\)\.",
        "Leave them out under Data, or choose the error model combined2.",
    ),
    (
        r", as in wb\.(\w+)\(0\.05, fixed=True\)\.",
        ": type it under Residual error and tick fix.",
    ),
    (r"Put it there, or name it: read_nonmem\(path, data=…\)\.", "Hand it over as well, with the stream or now."),
    (r"; wb\.TwoStage\(\) has those of their mean", "; the method two-stage has those of their mean"),
    (r"; give it another seed, wb\.Saem\(seed=2\)", "; give it another seed, under Fit, Estimates"),
)


def in_room_words(text: str) -> str:
    """A sentence with what it says of code put as what is to be done in the room."""
    for pattern, said in _SAID:
        text = re.sub(pattern, said, text)
    return text
