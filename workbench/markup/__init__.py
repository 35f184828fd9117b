"""What a person reads: escaped HTML, tables, drawings as SVG, and how numbers are written. Every floor may use it."""

from workbench.markup.html import code, decimals, duration, escaped, number, rounded, said, table

__all__ = ["code", "decimals", "duration", "escaped", "number", "rounded", "said", "table"]
