"""What is compiled is kept where that is possible, and is no longer used once any kernel has changed."""

import ctypes
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import workbench
from workbench.engine import caches
from workbench.engine.predictions import machine, objects
from workbench.engine.predictions.machine import kernel

PREDICT = r"""
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import workbench as wb
    data = wb.read_data(b"ID,TIME,AMT,EVID,DV\n1,0,10,1,.\n1,1,0,0,1\n")
    model = wb.Model(wb.pk(), [wb.Parameter("CL", 1.0), wb.Parameter("V", 5.0)], wb.Constant(1.0))
    print(wb.predict(model, data)["PRED"].iloc[1])
print([str(one.message) for one in said if "compiled" in str(one.message)])
"""


def give_up_writing_everywhere():
    """The superuser without the right to disregard rights of files (prctl PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)."""
    if os.getuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@pytest.fixture
def read_only():
    """A copy of the package in which nobody can write."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(
        Path(workbench.__file__).parent, folder / "workbench", ignore=shutil.ignore_patterns("__pycache__", "*.nb?")
    )
    for path in [*folder.rglob("*"), folder]:
        path.chmod(path.stat().st_mode & ~0o222 | 0o444 | (stat.S_IXOTH if path.is_dir() else 0))
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    shutil.rmtree(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="the superuser keeps all rights")
def test_where_nothing_can_be_written_a_warning_says_so_and_all_works(read_only):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("WORKBENCH_CACHE", "XDG_CACHE_HOME")
    }
    environment |= {"PYTHONPATH": str(read_only), "HOME": "/proc/nobody", "NUMBA_CACHE_DIR": "/proc/nowhere"}
    ran = subprocess.run(
        [sys.executable, "-c", PREDICT], env=environment, cwd="/", capture_output=True, text=True, check=False,
        preexec_fn=give_up_writing_everywhere,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    value, said = ran.stdout.splitlines()
    assert float(value) == pytest.approx(2.0 * 2.718281828**-0.2)
    assert said.count("neither the package nor a folder of yours can be written to") == 1
    kept = said.split(" in ")[1].split(":")[0]
    assert not Path(kept).exists()  # it is gone with the process


def test_the_first_folder_that_can_be_written_to_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "stated"))
    caches.kernel_folder.cache_clear()
    try:
        assert caches.kernel_folder().parent == tmp_path / "stated"
        blocked = tmp_path / "file"
        blocked.write_text("")
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked / "inside"))
        monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "own"))
        monkeypatch.setattr(caches, "_PACKAGE", blocked)
        caches.kernel_folder.cache_clear()
        caches._temporary_folder()  # another structure may have had to go there
        assert caches.kernel_folder().parent == tmp_path / "own"
    finally:
        caches.kernel_folder.cache_clear()


@kernel
def _sum(x, out):
    for k in range(x.shape[0]):
        out[0] += x[k]


def test_what_is_compiled_is_kept_until_any_kernel_changes(tmp_path, monkeypatch):
    """Functions of other files are compiled into it: it is as old as the oldest."""
    monkeypatch.setattr(machine, "object_folder", lambda _: tmp_path / "objects")
    kept = tmp_path / "objects"
    x, out = np.arange(4.0), np.zeros(1)

    def again():
        machine._compiled.clear()
        _sum._known.clear()
        assert _sum(x, out) == 0
        return sorted(path.name for path in kept.iterdir())

    monkeypatch.setattr(machine, "_compiled", {})
    first = again()
    (code,) = kept.iterdir()
    assert first == again() == [code.name] and not list(kept.glob("*.tmp"))
    code.write_bytes(code.read_bytes()[:100])  # cut short
    assert again() == first
    monkeypatch.setattr(objects, "version", lambda: b"another")
    assert len(again()) == 2
    assert out[0] == 4 * 6.0
