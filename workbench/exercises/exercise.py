"""An exercise of one student: data, task and hints; the truth is not in it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import engine, plain
from workbench.checks import file_at, one_of, whole
from workbench.data import GroupedData, stored
from workbench.errors import FileError, ModelError, WorkbenchError
from workbench.exercises.answer import Answer, taken
from workbench.exercises.graded import Compared, Graded, choice, compared
from workbench.exercises.marking import Mark, Truth, fitted
from workbench.exercises.secret import KEY_VARIABLE, Draws, checked_key
from workbench.exercises.topics import TOPICS
from workbench.markup.html import Html, escaped, joined, tag
from workbench.markup.numbers import short
from workbench.results.packing import write

_SAME = 0.02  # relative: estimates of one model and one data set, found again


@dataclass(frozen=True, eq=False, repr=False)
class Exercise:
    """A task with data that are one student's own.

    It holds no truth and no key. With a lecturer's key (`sealed`) the truth cannot be computed from it; without one
    everything is for practice.

    Attributes
    ----------
    topic, title : str
    seed : str
        The student's: a name or a number.
    task : str
    hints : tuple of str
    data : GroupedData
    sealed : bool
        Whether a lecturer's key is behind it.
    seal : str
        What only the key can make of topic, seed and data.
    """

    topic: str
    seed: str
    task: str
    data: GroupedData = field(repr=False)
    sealed: bool
    seal: str = field(repr=False)

    @property
    def title(self) -> str:
        """What the exercise is about."""
        return TOPICS[self.topic].title

    @property
    def hints(self) -> tuple[str, ...]:
        """Hints, from a nudge to nearly the answer."""
        return TOPICS[self.topic].hints

    def hint(self, number: int = 1) -> str:
        """One hint, counted from 1.

        Raises
        ------
        ModelError
            If there are not so many.
        """
        if whole("number", number, 1) > len(self.hints):
            raise ModelError(f"hint({number}): there are {len(self.hints)} hints.")
        return self.hints[number - 1]

    @property
    def sentence(self) -> str:
        """Whose it is, and what its truth depends on."""
        of = (
            "The truth depends on a lecturer's key." if self.sealed
            else "For practice: the truth follows from the seed alone, and whoever reads the code can compute it."
        )  # fmt: skip
        return f"{self.title} ({self.topic}, seed {self.seed}). {of}"

    def __repr__(self) -> str:
        return f"{self.sentence}\n{self.task}\n{self.data!r}"

    def _repr_html_(self) -> Html:
        return joined(
            tag("b", escaped(self.sentence)), tag("p", escaped(self.task)), tag("p", escaped(repr(self.data)))
        )

    # -- answers -----------------------------------------------------------------------------------------------

    def answer(
        self,
        work: object = None,
        *,
        values: Mapping[str, Any] | None = None,
        also: Iterable[object] = (),
        student: str | None = None,
    ) -> Answer:
        """What is handed in, as a value that can be saved; arguments as of `check`.

        Returns
        -------
        Answer
        """
        return taken(
            self.topic, self.seed, self.seal, self.data, work, values=values, also=also, student=student
        )  # fmt: skip

    def check(
        self,
        work: object = None,
        *,
        values: Mapping[str, Any] | None = None,
        also: Iterable[object] = (),
        student: str | None = None,
        key: str | None = None,
    ) -> Graded:
        """Judge what a student has.

        Parameters
        ----------
        work : Workbench, FitResult, Model or mapping
            Anything with `fit` and `model`; or values by name.
        values : mapping, optional
            Answers beside it, such as {"dose": 250}.
        also : iterable of FitResult
            Further fits that were looked at; a Workbench brings its runs.
        student : str, optional
            Whose it is; the seed unless said.
        key : str, optional
            The lecturer's; that in the environment variable WORKBENCH_EXERCISES_KEY unless said.

        Returns
        -------
        Graded

        Raises
        ------
        ModelError
            If the work is none of these, or the key is not the one behind this exercise.
        """
        answer = self.answer(work, values=values, also=also, student=student)
        return _graded(answer, self, checked_key(key) if self.sealed else None)

    # -- files -------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what is handed out. No truth is in it."""
        return {
            "result": "Exercise", "schema": plain.SCHEMA, "topic": self.topic, "seed": self.seed, "task": self.task,
            "sealed": self.sealed, "seal": self.seal, "title": self.title, "hints": list(self.hints),
            "data": stored.about(self.data), "records": stored.records(self.data),
        }  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as JSON, to be handed out.

        Returns
        -------
        Path

        Raises
        ------
        FileError
            If it cannot be written.
        """
        return write(plain.written(self.to_dict()), path)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Exercise:
        """The exercise that `to_dict` wrote.

        Raises
        ------
        FileError
            If something is missing, or is not what it has to be.
        """
        plain.need(record, ("topic", "seed", "task", "sealed", "seal", "data", "records"), "the exercise")
        if record["topic"] not in TOPICS:
            raise FileError(f"There is no exercise {str(record['topic'])[:40]!r}; there are {', '.join(TOPICS)}.")
        data = stored.data_of(record["data"], record["records"])
        texts = {name: str(record[name]) for name in ("topic", "seed", "task", "seal")}
        return cls(**texts, sealed=record["sealed"] is True, data=data)


def exercise(topic: str, seed: object, key: str | None = None) -> Exercise:
    """Make the exercise of one student.

    Parameters
    ----------
    topic : str
        One of `wb.exercises.catalogue().index`.
    seed : str or int
        The student's: a name, a matriculation number. Another seed is another truth and other data.
    key : str, optional
        The lecturer's, as `wb.exercises.new_key()` makes it; that in the environment variable WORKBENCH_EXERCISES_KEY
        unless said. Without one the exercise is practice.

    Returns
    -------
    Exercise

    Raises
    ------
    ModelError
        If there is no such topic, the seed is empty, or the key is too short.

    Examples
    --------
    >>> import workbench as wb
    >>> task = wb.exercises.exercise("intravenous", seed="Ada")
    >>> fit = wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), task.data)
    >>> graded = task.check(fit)
    >>> graded.points, graded.out_of, graded.kind
    (10.0, 10.0, 'practice')
    """
    one_of("topic", topic, tuple(TOPICS))
    if not isinstance(seed, str | int) or isinstance(seed, bool) or not str(seed).strip():
        raise ModelError(f"seed={seed!r}; a name or a whole number is needed.")
    stated = checked_key(key)
    draws = Draws.of(topic, str(seed), stated)
    truth, data = _made(draws)
    task = TOPICS[topic].task.format(**truth.facts)
    return Exercise(topic, str(seed), task, data, stated is not None, draws.seal(data.hash))


def grade(
    answer: Answer | str | os.PathLike[str],
    key: str | None = None,
    *,
    exercise: Exercise | str | os.PathLike[str] | None = None,
    verify: bool = False,
) -> Graded:
    """Grade what was handed in.

    Parameters
    ----------
    answer : Answer or path
        As `Exercise.answer` makes it, or its file.
    key : str, optional
        The lecturer's; that in the environment unless said.
    exercise : Exercise or path, optional
        What was handed out. Unless said, it is made again from the key and the seed.
    verify : bool
        Fit the model of the answer again, and say whether its estimates are what was handed in. Only where the data
        were fitted as they are.

    Returns
    -------
    Graded

    Raises
    ------
    ModelError
        If the key is not the one behind the exercise, or what was handed out has been changed.
    FileError
        If a file is none of these.

    Examples
    --------
    >>> import workbench as wb
    >>> key = wb.exercises.new_key()
    >>> task = wb.exercises.exercise("intravenous", "Ada", key)
    >>> fit = wb.fit(wb.Model(wb.pk(), error=wb.Proportional()), task.data)
    >>> wb.exercises.grade(task.answer(fit), key).points
    10.0
    """
    given = answer if isinstance(answer, Answer) else opened(answer)
    if not isinstance(given, Answer):
        raise FileError(f"{answer} is no answer; Exercise.answer(…).save(…) writes one.")
    stated = checked_key(key)
    task = opened(exercise) if isinstance(exercise, str | os.PathLike) else exercise
    if task is not None and not isinstance(task, Exercise):
        raise FileError("exercise= is an Exercise, or its file.")
    one_of("the topic of the answer", given.topic, tuple(TOPICS))
    if task is None:
        practice = Draws.of(given.topic, given.seed, None)
        data = _made(practice)[1]
        sealed = practice.seal(data.hash) != given.seal
        if sealed and stated is None:
            raise ModelError(f"The lecturer's key is needed: key=, or the environment variable {KEY_VARIABLE}.")
        if sealed:
            data = _made(Draws.of(given.topic, given.seed, stated))[1]
        task = Exercise(given.topic, given.seed, TOPICS[given.topic].task, data, sealed, given.seal)
    graded = _graded(given, task, stated if task.sealed else None)
    return _verified(graded, given, task) if verify else graded


def opened(path: str | os.PathLike[str]) -> Exercise | Answer | Graded:
    """Open what was saved: an exercise, an answer, or a graded one. Nothing in the file is evaluated.

    Parameters
    ----------
    path : path

    Returns
    -------
    Exercise, Answer or Graded

    Raises
    ------
    FileError
        If the file is none of these, or damaged.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = wb.exercises.exercise("dose", "Ada").save(f"{folder}/Ada.json")
    ...     wb.exercises.opened(file).title
    'How much, then?'
    """
    file = file_at(path)
    if not file.is_file():
        raise FileError(f"There is no file {file}.")
    record = plain.read(file.read_bytes(), str(file))
    kinds: dict[str, type[Exercise] | type[Answer] | type[Graded]] = {
        "Exercise": Exercise, "Answer": Answer, "Graded": Graded,
    }  # fmt: skip
    kind = kinds.get(str(record.get("result")))
    if kind is None:
        raise FileError(f"{file} is neither an exercise nor an answer nor a graded one.")
    return kind.from_dict(record)


def _made(draws: Draws) -> tuple[Truth, GroupedData]:
    topic = TOPICS[draws.topic]
    truth = topic.truth(draws)
    return truth, topic.data(truth, draws)


def _graded(answer: Answer, task: Exercise, key: str | None) -> Graded:
    topic = TOPICS[task.topic]
    if answer.topic != task.topic or answer.seed != task.seed or answer.seal != task.seal:
        raise ModelError(
            f"The answer is to {answer.topic}, seed {answer.seed}, not to this {task.topic}, seed {task.seed}."
        )
    marks: tuple[Mark, ...]
    lines: tuple[Compared, ...] = ()
    if task.sealed and key is None:
        own = fitted(answer, rows=task.topic != "slip")
        rest = Mark("everything else", 10 - own.points, None, "What is asked is compared with the truth, "
                    "which takes the lecturer's key.")  # fmt: skip
        marks, kind = (own, rest), "open"
    else:
        draws = Draws.of(task.topic, task.seed, key if task.sealed else None)
        if draws.seal(task.data.hash) != task.seal:
            raise ModelError(
                "This key did not make this exercise, or its data have been changed since. (Data that are made again "
                "may differ with another version of numpy: then give what was handed out, exercise=…)"
            )
        truth = topic.truth(draws)
        marks, lines = topic.judged(answer, truth, task.data), compared(answer, truth)
        kind = "graded" if task.sealed else "practice"
    return Graded(
        task.topic, topic.title, task.seed, answer.student, kind, marks, lines, choice(answer), answer.method,
        answer.converged,
    )  # fmt: skip


def _verified(graded: Graded, answer: Answer, task: Exercise) -> Graded:
    from dataclasses import replace

    model = answer.stated
    if model is None or not answer.method or answer.changed.left_out or answer.changed.altered:
        said = "The estimates were not fitted again: there is no model, or other data were fitted."
        return replace(graded, remarks=(*graded.remarks, said))
    try:
        again = engine.fit(model, task.data, method=answer.method, covariance=False)
    except WorkbenchError as error:
        return replace(graded, remarks=(*graded.remarks, f"The model could not be fitted again: {error}"))
    lines = {line.name: line.value for line in again.lines}
    off = [
        f"{line.name} {short(line.estimate)}, again {short(lines[line.name])}"
        for line in answer.lines
        if line.name in lines and not math.isclose(line.estimate, lines[line.name], rel_tol=_SAME, abs_tol=1e-3)
    ]
    said = (
        f"Fitted again, the model gives other estimates than were handed in: {'; '.join(off)}." if off
        else "Fitted again, the model gives the estimates that were handed in."
    )  # fmt: skip
    return replace(graded, remarks=(*graded.remarks, said))
