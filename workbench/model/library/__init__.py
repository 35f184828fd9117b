"""The library of structures: compartment models and effects on top of them, and how they are drawn."""
