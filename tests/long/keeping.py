"""A process is killed while it fits and keeps its runs: the file opens, and every finished run is there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.reference.results import table
from tests.results.kills import killed_while_keeping

KILLS = 20


def run(share: float) -> tuple[str, bool]:
    """How many runs were kept over all kills, and whether nothing was lost."""
    kills = max(2, round(KILLS * share))
    with tempfile.TemporaryDirectory(prefix="keeping-") as folder:
        kept, wrong = killed_while_keeping(Path(folder) / "runs.db", kills, seed=1)
    rows = [[str(kills), str(kept), "; ".join(wrong) or "nothing"]]
    return table(["kills", "finished runs, all there", "what is wrong"], rows), not wrong
