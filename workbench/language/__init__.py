"""The little language of formulas, equations, differential equations and conditions on rows: read, never evaluated."""
