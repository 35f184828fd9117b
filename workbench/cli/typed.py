"""What may stand behind an option: pairs, names, files that can be written."""

from __future__ import annotations

import argparse
from pathlib import Path

Pair = tuple[str, str]


def pair(text: str) -> Pair:
    """NAME=VALUE."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), value.strip()


def value(text: str) -> tuple[str, float]:
    """NAME=VALUE, where the value is a number."""
    name, value = pair(text)
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} in {text!r} is not a number") from None


def names(text: str) -> tuple[str, ...]:
    """NAME,NAME, …"""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def writable(text: str) -> Path:
    """A file whose folder exists: better known before a long fit than after it."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        reason = "it is a folder" if path.is_dir() else "there is no such folder"
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: {reason}")
    return path
