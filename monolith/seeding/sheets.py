"""Rows on their way to COPY: a sheet per table, kept in temporary files until they are loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from django.db import models

# What COPY reads as NULL.
NULL = "\\N"
_BLOCK = 1 << 20


def text(value: str) -> str:
    """A text as COPY reads it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


class Sheet:
    """The rows of one table; each a line of texts between tabs, in the order of `columns`."""

    def __init__(self, model: type[models.Model], columns: str, last_id: int) -> None:
        self.table = model._meta.db_table
        self.columns = columns.split()
        of_table = {field.column for field in model._meta.concrete_fields}
        if set(self.columns) != of_table:
            raise ValueError(f"{self.table} has other columns: {sorted(of_table ^ set(self.columns))}")
        self.last_id = last_id
        self.count = 0
        self._lines: list[str] = []
        self._file: IO[bytes] | None = None
        # A bound method of a list that stays the same one: adding rows is most of the work.
        self.add: Callable[[str], None] = self._lines.append

    def next_id(self) -> int:
        """The id of the next row."""
        self.last_id += 1
        return self.last_id

    def take(self) -> bytes:
        """The rows that were added since the last time."""
        self.count += len(self._lines)
        data = "".join(self._lines).encode()
        self._lines.clear()
        return data

    def keep(self) -> None:
        """Put the rows that were added since the last time into the file."""
        if self._lines:
            self._file = self._file or tempfile.TemporaryFile(prefix="seed-")  # noqa: SIM115
            self._file.write(self.take())

    def blocks(self) -> Iterator[bytes]:
        """Everything that was kept; once."""
        self.keep()
        if self._file is not None:
            self._file.seek(0)
            while block := self._file.read(_BLOCK):
                yield block
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def copy(self) -> str:
        """The statement that loads it."""
        return f"COPY {self.table} ({', '.join(self.columns)}) FROM STDIN"


class Sheets:
    """All sheets, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._sheets: dict[str, Sheet] = {}

    def of(self, model: type[Any], columns: str) -> Sheet:
        """The sheet of a table; its ids go on after those that are there."""
        if model._meta.db_table not in self._sheets:
            last_id = model.objects.aggregate(last=models.Max("pk"))["last"] or 0
            self._sheets[model._meta.db_table] = Sheet(model, columns, last_id)
        return self._sheets[model._meta.db_table]

    def all(self) -> list[Sheet]:
        """Those that there are."""
        return list(self._sheets.values())

    def keep(self) -> None:
        """As of each sheet."""
        for sheet in self._sheets.values():
            sheet.keep()

    def close(self) -> None:
        """As of each sheet."""
        for sheet in self._sheets.values():
            sheet.close()
