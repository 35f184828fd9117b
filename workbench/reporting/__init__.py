"""A fit to be handed over: one page that needs nothing else, and its tables in other forms."""

from workbench.reporting.page import report
from workbench.reporting.tables import Table, report_tables

__all__ = ["Table", "report", "report_tables"]
