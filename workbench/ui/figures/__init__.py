"""Figures of bqplot and small drawings; no panel."""
