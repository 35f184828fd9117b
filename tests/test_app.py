"""`workbench app` ends when it is told to, and its kernels with it, whatever hangs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at in /proc")
PATIENT = 120  # seconds: longer than any of this takes, so that a process which hangs fails the test

# The main thread hears no signal, and what it began ends at none but SIGKILL.
DEAF = """
import signal, subprocess, sys, threading
from workbench.cli.ending import ending_at_a_signal

child = subprocess.Popen(
    [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)",
    ],
    start_new_session=True, stdout=subprocess.PIPE,
)
child.stdout.readline()
with ending_at_a_signal(lambda: [child.pid], patience=0.2):
    print(child.pid, flush=True)
    while True:
        try:
            {hang}
        except KeyboardInterrupt:
            continue
"""
HANGS = {
    "one that goes on": "threading.Event().wait()",
    "one that waits for the other": "child.wait(); break",
    "one that runs no Python": "signal.pthread_sigmask(signal.SIG_BLOCK, [2, 15]); threading.Event().wait()",
}


def ended(process: int) -> bool:
    """Whether it ends within the time that one is patient; a zombie has ended."""
    for _ in range(10 * PATIENT):
        try:
            stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
        except OSError:
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


def kernels(of: int) -> list[int]:
    """What a process began that is a kernel."""
    children = Path(f"/proc/{of}/task/{of}/children").read_text(encoding="utf-8").split()
    return [int(one) for one in children if b"ipykernel" in Path(f"/proc/{one}/cmdline").read_bytes()]


@pytest.mark.parametrize("hangs", HANGS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_hangs_and_what_it_began(hangs, number):
    code = DEAF.replace("{hang}", HANGS[hangs])
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            child = int(process.stdout.readline())
            time.sleep(0.5)  # until it hangs
            process.send_signal(number)
            process.wait(PATIENT)
            assert ended(child)
        finally:
            process.kill()


def test_the_app_ends_although_its_kernels_do_not_answer(tmp_path):
    pytest.importorskip("voila")
    command = [sys.executable, "-c", "from workbench.cli import main; main(['app', '--no-browser'])"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            address = next(found[1] for line in process.stdout if (found := re.match(r"Workbench: (\S+)", line)))

            def look():
                with suppress(OSError):
                    urllib.request.urlopen(address, timeout=PATIENT).read()

            Thread(target=look, daemon=True).start()
            for _ in range(10 * PATIENT):
                if begun := kernels(process.pid):
                    break
                time.sleep(0.1)
            assert begun
            for kernel in begun:
                os.kill(kernel, signal.SIGSTOP)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENT)
            assert all(map(ended, begun))
        finally:
            for kernel in kernels(process.pid) if process.poll() is None else ():
                os.kill(kernel, signal.SIGKILL)
            process.kill()
