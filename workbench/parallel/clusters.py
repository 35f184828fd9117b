"""The cluster that work goes to: one for the whole process, so that panels, whose work runs in threads, see it."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from workbench.checks import is_whole
from workbench.errors import FitError

_PATIENCE = "10s"  # for a scheduler that answers, and workers that say what they have
_current: list[Cluster] = []


class Cluster:
    """Workers of dask that do what comes in many pieces, from when it is made until it is closed.

    Attributes
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any, owned: tuple[Any, ...] = ()):
        self.client, self._owned = client, owned
        _current.append(self)

    @property
    def is_open(self) -> bool:
        """Whether work still goes there."""
        return self in _current and self.client.status == "running"

    def close(self) -> None:
        """Work is done here again; what was opened for the cluster is closed."""
        if self in _current:
            _current.remove(self)
        owned, self._owned = self._owned, ()
        for one in owned:
            one.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self.is_open:
            return "Cluster, closed"
        threads = self.client.nthreads()
        many = f"{len(threads)} worker{'s' if len(threads) != 1 else ''}, {sum(threads.values())} threads"
        return f"Cluster at {self.client.scheduler.address}: {many}"


def cluster(where: Any = None) -> Cluster:
    """Have bootstrap, SIR, profiles, searches for covariates and many starts done by a cluster of dask.

    From then on, in all threads of this process, so in the panels as well, until the cluster is closed: at the end of
    a `with`, or by its `close()`. Model and data are sent to each worker once and are compiled there, pieces of work
    come in batches; a worker that is lost loses nothing. Results are the same bits as without a cluster. `jobs=1` keeps
    a call here, another number of `jobs` is that of batches at the same time.

    Parameters
    ----------
    where : str, int, distributed.Client or a cluster of dask, optional
        The address of a scheduler such as "tcp://10.0.0.5:8786", a client, or what dask has for its kinds of machines
        (`LocalCluster`, `dask_jobqueue.SLURMCluster`, ...). A number: so many processes of this machine; None: one for
        each core.

    Returns
    -------
    Cluster

    Raises
    ------
    FitError
        If dask is not installed, there is no such cluster, it has no worker, or a worker has no workbench or another
        version of it, of numpy, llvmlite or scipy: the bits would differ.

    Examples
    --------
    >>> import workbench as wb
    >>> with wb.cluster(2):  # doctest: +SKIP
    ...     wb.bootstrap(fit, 1000)
    """
    try:
        import distributed
    except ImportError:
        raise FitError("wb.cluster needs dask: pip install dask distributed.") from None
    dask: Any = distributed  # which states no types for what it makes
    owned: tuple[Any, ...] = ()
    if isinstance(where, distributed.Client):
        client = where
    elif where is None or (is_whole(where) and where > 0):
        local = dask.LocalCluster(n_workers=where, threads_per_worker=1, dashboard_address=None)
        client = dask.Client(local)
        owned = client, local
    elif isinstance(where, str) or hasattr(where, "scheduler_address"):
        try:
            client = dask.Client(where, timeout=_PATIENCE)
        except (OSError, ValueError, TimeoutError) as error:
            raise FitError(f"No scheduler of dask answers at {where!r}: {error}") from None
        owned = (client,)
    else:
        raise FitError(
            f"wb.cluster({where!r}); the address of a scheduler, a client or cluster of dask, or a number of processes "
            "is needed."
        )
    try:
        _check(client)
    except BaseException:
        for one in owned:
            one.close()
        raise
    return Cluster(client, owned)


def current() -> Cluster | None:
    """The cluster that work goes to, if there is one: the last that was made and is open."""
    for one in reversed(_current):
        if one.is_open:
            return one
        _current.remove(one)
    return None


def client() -> Any:
    """Its client; None without one."""
    found = current()
    return found.client if found is not None else None


def _versions() -> dict[str, str]:
    """What decides the bits of a result."""
    import sys
    from importlib.metadata import version

    own = str(sys.modules["workbench"].__version__)
    return {"workbench": own} | {name: version(name) for name in ("numpy", "llvmlite", "scipy")}


def _check(client: Any) -> None:
    """Refuse workers that would compute something else."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError:
        raise FitError("The cluster has no worker so far: start some, as with `dask worker <address>`.") from None
    try:
        found = client.run(_versions)
    except ImportError as error:
        raise FitError(f"A worker of the cluster has no workbench ({error}): install the same there.") from None
    mine = _versions()
    for worker, theirs in found.items():
        wrong = [f"{name} {theirs[name]}, here {mine[name]}" for name in mine if theirs[name] != mine[name]]
        if wrong:
            raise FitError(f"The worker at {worker} has {'; '.join(wrong)}: install the same on all of them.")
