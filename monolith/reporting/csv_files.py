"""Writing CSV files (RFC 4180) that spreadsheets can open without danger."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from common.times import rfc3339

# A cell that begins so is a formula to a spreadsheet, whatever its author meant.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True)
class Written:
    """How much was written; the heading is no row."""

    rows: int
    bytes: int


def write(path: Path, lines: Iterable[list[Any]]) -> Written:
    """Write a file that is either there and whole, or not there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_name(path.name + ".part")
    try:
        written = _write(unfinished, lines)
        unfinished.replace(path)
    except Exception:
        # A disk that is full needs the room.
        unfinished.unlink(missing_ok=True)
        raise
    return written


def _write(path: Path, lines: Iterable[list[Any]]) -> Written:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for count, line in enumerate(lines):  # noqa: B007
            writer.writerow([cell(value) for value in line])
        file.flush()
        os.fsync(file.fileno())
        return Written(count, os.fstat(file.fileno()).st_size)


def cell(value: Any) -> str:
    """A value as text that no spreadsheet computes."""
    if value is None:
        return ""
    text = rfc3339(value) if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
