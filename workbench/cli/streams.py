"""Control streams of NONMEM, as the commands take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import workbench as wb

STREAMS = (".mod", ".ctl", ".nmctl")  # control streams of NONMEM


def tell_stream(run: wb.NonmemRun, stream: TextIO | None = None) -> None:
    """Say how a control stream was proven, and what is in no model."""
    print(run.said, file=stream)
    if run.left_out:
        print(f"Left out: {', '.join(run.left_out)}.", file=stream)
