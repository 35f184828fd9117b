"""Forty pages of `workbench app` on this machine, in each of which a file is handed over and Fit is pressed.

What a browser does for each person is done here: get the page, connect to the kernel behind it, ask for its widgets,
follow what they say, and answer what the page has to answer. Every person has other data, so that what one sees of
another would show. Everything stays on this machine; every wait has an end, and the app is stopped at the end.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.reference.results import table

SESSIONS = 40
ROUNDS = 3  # fits in each
APART = 10.0  # seconds between the presses of one person
LONGEST = 400.0  # seconds that anything may take
SHOWN = re.compile(r"Run (\d+)\b.*?OFV\s*(-?[\d,.]+)")
PROTOCOL = "v1.kernel.websocket.jupyter.org"  # Voila takes all binary messages for this one
COMMAND = "from workbench.cli import main; main(['app', '--no-browser'])"


def run(share: float) -> tuple[str, bool]:
    """Seconds from the press to the result on the page, memory of a kernel, and whether anybody saw another's data."""
    sessions, (load, *_) = max(2, round(SESSIONS * share)), os.getloadavg()
    with served() as (address, process), ThreadPoolExecutor(sessions) as pool:
        people = [Person(k, address) for k in range(sessions)]
        begun = time.perf_counter()
        try:
            list(pool.map(Person.open, people))
            opened = time.perf_counter() - begun
            list(pool.map(Person.upload, people))
            before = work_of(process)
            for _ in range(ROUNDS):
                list(pool.map(lambda one: one.press(APART * one.number / sessions), people))
            work = work_of(process) - before
            memory = sorted(one.memory_full_info().uss // 2**20 for one in kernels_of(process))
        finally:
            list(pool.map(Person.close, people))
    fits = sorted(seconds for one in people for seconds in one.seconds)
    lost = sum(len(one.seconds) < ROUNDS for one in people)
    mixed = sum(one.sees_another(people) for one in people)
    middle = statistics.median(fits) if fits else math.inf
    rows = [
        ["pages", str(sessions)],
        ["seconds until all had their panels", f"{opened:.0f}"],
        ["fits whose result was shown", str(len(fits))],
        ["seconds from the press to the result on the page, median", f"{middle:.2f}"],
        ["the same, 90th percentile and longest", f"{fits[int(0.9 * len(fits))]:.2f}, {fits[-1]:.2f}" if fits else "-"],
        ["processor seconds of the app for each fit, what follows it included", f"{work / max(len(fits), 1):.2f}"],
        ["other work on the machine when it began (load)", f"{load:.1f}"],
        ["people who lost a fit", str(lost)],
        ["people who saw data or runs of another", str(mixed)],
        ["memory that a kernel has to itself, median and largest", f"{memory[len(memory) // 2]} and {memory[-1]} MB"],
    ]  # fmt: skip
    held = lost == 0 and mixed == 0 and (middle <= 1.0 or share < 1)  # a busy machine is no fault
    return table(["what", "found"], rows), held


@contextmanager
def served() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`workbench app`, its address and its process."""
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=quiet
    ) as process:
        try:
            said = next(line for line in process.stdout or () if line.startswith("Workbench: "))
            yield said.split(": ", 1)[1].strip(), process
        finally:
            process.terminate()


def kernels_of(process: subprocess.Popen[str]) -> list[Any]:
    """The kernels of the app."""
    import psutil

    living = [one for one in psutil.Process(process.pid).children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in living if "ipykernel" in " ".join(one.cmdline())]


def work_of(process: subprocess.Popen[str]) -> float:
    """Processor seconds that the app and its kernels have taken so far."""
    import psutil

    return sum(sum(one.cpu_times()[:2]) for one in (psutil.Process(process.pid), *kernels_of(process)))


class Page:
    """What a browser holds of a page with widgets: their states as the kernel tells them.

    Parameters
    ----------
    address : str
        With its token.
    """

    def __init__(self, address: str):
        import websocket

        parts, self._session = urlsplit(address), uuid.uuid4().hex
        self._home, self._token = f"{parts.scheme}://{parts.netloc}", parse_qs(parts.query)["token"][0]
        with urllib.request.urlopen(address, timeout=LONGEST) as answer:
            html = answer.read().decode("utf-8")
        self._kernel = re.findall(r'"kernelId": "([\w-]+)"', html)[0]
        self.states: dict[str, dict[str, Any]] = {}
        self._ready = False
        self._answers: dict[str, str] = {}  # widgets whose value follows that of another
        self._news, self._sending = threading.Condition(), threading.Lock()
        channels = f"{self._home.replace('http', 'ws', 1)}/api/kernels/{self._kernel}/channels"
        self._socket = websocket.create_connection(
            f"{channels}?session_id={self._session}&token={self._token}", timeout=LONGEST, subprotocols=[PROTOCOL]
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._send("kernel_info_request", {})  # what comes before the kernel has answered may be lost
        self.wait_for(lambda: self._ready)
        control = uuid.uuid4().hex
        opened = {"comm_id": control, "target_name": "jupyter.widget.control", "data": {}}
        self._send("comm_open", opened, {"version": "1.0.0"})
        self._send("comm_msg", {"comm_id": control, "data": {"method": "request_states"}})
        self.wait_for(lambda: bool(self.states))

    def wait_for(self, true: Callable[[], Any], longest: float = LONGEST) -> Any:
        """Wait until something is true of the states, and return it."""
        with self._news:
            if not self._news.wait_for(true, longest):
                raise TimeoutError(f"not within {longest:g} s")
            return true()

    def widget(self, model: str, **state: Any) -> str:
        """The identity of a widget."""
        return next(
            one for one, held in list(self.states.items())
            if held.get("_model_name") == model and all(held.get(name) == value for name, value in state.items())
        )  # fmt: skip

    def texts(self) -> list[str]:
        """What widgets show as text, tags left out."""
        values = [held.get("value") for held in list(self.states.values())]
        return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", value)) for value in values if isinstance(value, str)]

    def click(self, widget: str) -> None:
        """Press a button."""
        content = {"method": "custom", "content": {"event": "click"}}
        self._send("comm_msg", {"comm_id": widget, "data": content})

    def upload(self, widget: str, name: str, content: bytes) -> None:
        """Hand a file to a FileUpload."""
        file = {"name": name, "type": "text/csv", "size": len(content), "last_modified": 0}
        data = {"method": "update", "state": {"value": [file]}, "buffer_paths": [["value", 0, "content"]]}
        self._send("comm_msg", {"comm_id": widget, "data": data}, buffers=[content])

    def close(self) -> None:
        """Leave the page, as a browser says it."""
        self._socket.close()
        leave = urllib.request.Request(
            f"{self._home}/voila/api/shutdown/{self._kernel}", method="POST", data=b"",
            headers={"Authorization": f"token {self._token}"},
        )  # fmt: skip
        with urllib.request.urlopen(leave, timeout=LONGEST):
            pass

    # -- the protocol of Jupyter's sockets ---------------------------------------------------------------------

    def _send(self, kind: str, content: Any, metadata: Any = None, buffers: list[bytes] | None = None) -> None:
        header = {
            "msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self._session, "username": "", "version": "5.3",
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }  # fmt: skip
        told = [json.dumps(part).encode() for part in (header, {}, metadata or {}, content)]
        parts = [b"shell", *told, *(buffers or [])]
        offsets = [8 * (len(parts) + 2)]
        for part in parts:
            offsets.append(offsets[-1] + len(part))
        with self._sending:
            self._socket.send_binary(struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts))

    def _read(self) -> None:
        while self._socket.connected:
            try:
                raw = self._socket.recv()
            except Exception:  # closed meanwhile
                return
            if not raw:
                continue
            (count,) = struct.unpack("<Q", raw[:8])
            ends = struct.unpack(f"<{count}Q", raw[8 : 8 * (count + 1)])
            _, header, _, _, content = (raw[start:end] for start, end in zip(ends[:5], ends[1:6], strict=True))  # noqa: RUF007 - five of them
            self._hear(json.loads(header)["msg_type"], json.loads(content))

    def _hear(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "kernel_info_reply":
            with self._news:
                self._ready = True
                self._news.notify_all()
        if kind not in ("comm_open", "comm_msg"):
            return
        data = content.get("data", {})
        with self._news:
            if data.get("method") == "update_states":
                changed = {one: held["state"] for one, held in data["states"].items()}
            elif kind == "comm_open" or data.get("method") == "update":
                changed = {content["comm_id"]: data.get("state", {})}
            else:
                return
            for one, state in changed.items():
                self.states.setdefault(one, {}).update(state)
                if self.states[one].get("_model_name") == "LinkModel" and self.states[one].get("source"):
                    (source, _), (target, _) = self.states[one]["source"], self.states[one]["target"]
                    self._answers[source.removeprefix("IPY_MODEL_")] = target.removeprefix("IPY_MODEL_")
            self._news.notify_all()
        for one, state in changed.items():
            if one in self._answers and "value" in state and kind == "comm_msg":
                follows = {"method": "update", "state": {"value": state["value"]}, "buffer_paths": []}
                self._send("comm_msg", {"comm_id": self._answers[one], "data": follows})


class Person:
    """Somebody with a page and data of their own."""

    def __init__(self, number: int, address: str):
        self.number, self.name, self.factor = number, f"person-{number:02d}", 1 + number / 20
        self._address = address
        self.seconds: list[float] = []
        self._heard: set[str] = set()
        self._ofv = math.nan
        self._runs = 0

    def open(self) -> None:
        """Get the page and its widgets."""
        self.page = Page(self._address)

    def upload(self) -> None:
        """Hand over theophylline, all concentrations times a factor of one's own."""
        import workbench as wb

        data = wb.load_example("theophylline")
        frame = data.frame.assign(DV=data.frame["DV"] * self.factor)
        upload = self.page.widget("FileUploadModel", description="Upload a file")
        self.page.upload(upload, f"{self.name}.csv", frame.to_csv(index=False).encode())
        self.page.wait_for(lambda: any(self.name in text for text in self.page.texts()))
        self.page.wait_for(lambda: not self.page.states[self._fit()].get("disabled"))

    def press(self, later: float) -> None:
        """Press Fit after some seconds, and wait for the result to be shown."""
        time.sleep(later)
        before, begun = self._runs, time.perf_counter()
        self.page.click(self._fit())
        try:
            self._runs, self._ofv = self.page.wait_for(lambda: self._after(before), 120)
        except TimeoutError:
            return
        self.seconds.append(time.perf_counter() - begun)
        self._heard |= {name for text in self.page.texts() for name in re.findall(r"person-\d\d", text)}

    def sees_another(self, people: list[Person]) -> bool:
        """Whether another's file or number of runs showed, or the OFV is not that of one's own data.

        With all data times c, all standard deviations are, and the OFV grows by 2 n log c.
        """
        own = self._ofv - 2 * 132 * math.log(self.factor)
        first = people[0]
        theirs = first._ofv - 2 * 132 * math.log(first.factor)
        return self._heard != {self.name} or self._runs != ROUNDS or not abs(own - theirs) < 0.1

    def close(self) -> None:
        """Leave."""
        if hasattr(self, "page"):
            self.page.close()

    def _fit(self) -> str:
        return self.page.widget("ButtonModel", description="Fit", icon="play")

    def _after(self, before: int) -> tuple[int, float] | None:
        for text in self.page.texts():
            found = SHOWN.search(text)
            if found and int(found[1]) > before:
                return int(found[1]), float(found[2].replace(",", "").rstrip("."))
        return None
