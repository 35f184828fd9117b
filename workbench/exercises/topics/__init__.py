"""The twelve topics, in the order in which they build on each other."""

from workbench.exercises.topics.curves import ABSORPTION, FLIP_FLOP, GROWTH, INTRAVENOUS
from workbench.exercises.topics.dosing import DOSE
from workbench.exercises.topics.measurements import BELOW_LIMIT, ERROR_MODEL, SLIP
from workbench.exercises.topics.people import CORRELATION, OCCASIONS, POOLING, WEIGHT
from workbench.exercises.topics.topic import Topic

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        INTRAVENOUS, ABSORPTION, POOLING, ERROR_MODEL, BELOW_LIMIT, SLIP, WEIGHT, CORRELATION, OCCASIONS, FLIP_FLOP,
        GROWTH, DOSE,
    )
}  # fmt: skip

__all__ = ["TOPICS", "Topic"]
