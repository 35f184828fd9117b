"""A model and a data set as arrays: how parameters reach the records, and the scale of the search."""
