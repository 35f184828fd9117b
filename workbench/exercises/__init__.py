"""Exercises with a hidden truth: made from a student's seed and a lecturer's key, checked from what a student has.

    task = wb.exercises.exercise("absorption", seed="Ada")           # practice: the truth follows from the seed
    task = wb.exercises.exercise("absorption", "Ada", key)           # the lecturer's: task.save("Ada.json")
    task = wb.exercises.opened("Ada.json")                           # the student's: data, task, hints, no truth
    task.check(bench)                                                # a Workbench, a fit, a model, or values by name
    task.answer(bench).save("answers/Ada.json")                      # what is handed in
    wb.exercises.grade("answers/Ada.json", key)                      # points, with reasons
    wb.exercises.summary("answers", key)                             # the class

What the key protects: an exercise, its file, its repr and an answer hold neither truth nor key, and the truth cannot be
computed from them. What it does not: a fit shows about where the truth is (that is what it is for); students with the
same seed have the same truth, and can copy; a choice among three can be guessed; and code that runs where the key is
(in an autograder, say) can read it, so take a new key for each assignment, and grade saved answers where no code of a
student runs if it matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.exercises.answer import Answer
from workbench.exercises.exercise import Exercise, exercise, grade, opened
from workbench.exercises.graded import Graded
from workbench.exercises.marking import Mark
from workbench.exercises.secret import new_key
from workbench.exercises.summary import ClassSummary, summary
from workbench.exercises.topics import TOPICS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Answer",
    "ClassSummary",
    "Exercise",
    "Graded",
    "Mark",
    "catalogue",
    "exercise",
    "grade",
    "new_key",
    "opened",
    "summary",
]


def catalogue() -> pd.DataFrame:
    """List the exercises: title by name, in the order in which they build on each other.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> import workbench as wb
    >>> len(wb.exercises.catalogue())
    12
    """
    import pandas as pd

    rows = [(topic.name, topic.title) for topic in TOPICS.values()]
    return pd.DataFrame(rows, columns=["exercise", "title"]).set_index("exercise")
