"""From LLVM's code of a function to its address; what is compiled is kept on disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from workbench.engine.caches import version

_lock = threading.RLock()
_DIGEST = 32  # bytes, before the code
_SMALL = 60  # functions, as LLVM counts, become part of their callers: larger ones cost time to compile, and gain none


@cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    triple = llvm.get_process_triple()
    static = triple.startswith("x86")
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="static" if static else "default", codemodel="jitdefault", jit=True
    )
    return machine, f"{llvmlite.__version__} {triple} {cpu} {features}"


@cache
def _engine() -> Any:
    empty = llvm.parse_assembly("")
    empty.triple = llvm.get_process_triple()
    return llvm.create_mcjit_compiler(empty, _target()[0])


def address_of_text(name: str, folder: Path, identity: str, text: Callable[[str], str]) -> int:
    """Where the machine code of a function is, compiled or from disk; it stays as long as the process lives.

    Parameters
    ----------
    name : str
    folder : Path
        Where it is kept.
    identity : str
        What the text follows from, along with the version of the package.
    text : callable
        Writes the module that defines the function by the name that it is given.
    """
    with _lock:
        symbol, path = _symbol(name, folder, identity)
        code = _kept(path)
        if code is None:
            code = _compiled(text(symbol))
            _keep(path, code)
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        return int(engine.get_function_address(symbol))


def is_kept(name: str, folder: Path, identity: str) -> bool:
    """Whether the code of a function is on disk; parameters as those of `address_of_text`."""
    with _lock:
        return _symbol(name, folder, identity)[1].exists()


def _symbol(name: str, folder: Path, identity: str) -> tuple[str, Path]:
    """The name of a function in its code, and where that is kept."""
    key = hashlib.sha256(version() + f"{_target()[1]} {identity}".encode()).hexdigest()[:32]
    return f"{name}_{key}", folder / f"{name}-{key}.o"


def _compiled(text: str) -> bytes:
    """Object code."""
    machine = _target()[0]
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization, options.slp_vectorization, options.inlining_threshold = True, False, _SMALL
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return bytes(machine.emit_object(module))


def _kept(path: Path) -> bytes | None:
    """What is there; None if that is nothing, or not what was written."""
    try:
        digest, code = (whole := path.read_bytes())[:_DIGEST], whole[_DIGEST:]
    except OSError:
        return None
    return code if hashlib.sha256(code).digest() == digest else None


def _keep(path: Path, code: bytes) -> None:
    """Whole, or not at all; where it cannot be kept it serves this process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(draft, path)
    except OSError:
        pass
