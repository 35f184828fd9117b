"""The same work many times over: here, in threads, in processes that are kept, as joblib is told, or on a cluster.

`each` hands it out: whoever does a piece of it, the results are the same bits and come in the same order.
"""

from workbench.parallel.alone import in_one_thread, is_alone
from workbench.parallel.clusters import Cluster, cluster, current
from workbench.parallel.handing import Callback, at_once, each, in_order
from workbench.parallel.holders import Holders
from workbench.parallel.parcel import Prepare, Work

__all__ = [
    "Callback",
    "Cluster",
    "Holders",
    "Prepare",
    "Work",
    "at_once",
    "cluster",
    "current",
    "each",
    "in_one_thread",
    "in_order",
    "is_alone",
]
