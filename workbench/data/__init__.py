"""A file becomes grouped data: roles, units, doses, occasions, checks, example sets."""

from workbench.data.events import Events
from workbench.data.examples import examples_folder, load_example
from workbench.data.grouped import GroupedData
from workbench.data.history import BareName, Step
from workbench.data.importing import Preview, preview, read_data, table_of
from workbench.data.partitions import Partitions
from workbench.data.units import derived as derived_unit

__all__ = [
    "BareName",
    "Events",
    "GroupedData",
    "Partitions",
    "Preview",
    "Step",
    "derived_unit",
    "examples_folder",
    "load_example",
    "preview",
    "read_data",
    "table_of",
]
