"""Rollout rules from a file, kept when the file breaks."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from banyan import _settings
from banyan.cohort import FULL, in_cohort

logger = logging.getLogger("banyan.rollouts")

_VERSION = 1
"""The version of the document and of the decision rule that this code knows."""
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_CHECK_EVERY_SECONDS = 1.0


class RulesFile:
    """The rules in a JSON file, read again when it changed, looked at no more than once a second.

    A file that is missing or broken changes nothing: the rules read last hold, and before any were read everybody
    is on the legacy side. Each such state is logged once.
    """

    def __init__(self, path: str, clock: Any = time.monotonic) -> None:
        """Watch the file at `path`; it need not be there yet."""
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._basis_points: Mapping[str, int] = {}
        self._seen: tuple[int, ...] | None = None
        self._next_check = float("-inf")
        self._failure: str | None = None
        if hasattr(os, "register_at_fork"):
            # Another thread may have held the lock at the moment of the fork.
            os.register_at_fork(after_in_child=self._renew_lock)

    def is_enabled(self, rollout: str, user_id: int | None) -> bool:
        """Tell whether the user is in the rollout's new cohort; False for a rollout nobody knows."""
        self._refresh()
        return in_cohort(rollout, user_id, self._basis_points.get(rollout, 0))

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def _refresh(self) -> None:
        if self._clock() < self._next_check:
            return
        # The very first readers wait for the rules; later ones go on with the old while one thread reads the new.
        if not self._lock.acquire(blocking=self._next_check == float("-inf")):
            return
        try:
            if self._clock() >= self._next_check:
                self._read_if_changed()
                self._next_check = self._clock() + _CHECK_EVERY_SECONDS
        finally:
            self._lock.release()

    def _read_if_changed(self) -> None:
        seen = None
        try:
            with open(self.path, "rb") as file:
                # Of the open file: it may be replaced by name between a stat and an open.
                stat = os.fstat(file.fileno())
                seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev)
                if seen == self._seen:
                    return
                rules = _parse(file.read())
        except FileNotFoundError:
            self._seen = None
            self._keep("it does not exist")
        except OSError as error:
            self._seen = None
            self._keep(error.strerror or type(error).__name__)
        except (ValueError, RecursionError) as error:
            # Remembered too: a broken file is not parsed again every second.
            self._seen = seen
            self._keep(str(error))
        else:
            self._seen = seen
            self._basis_points = rules
            if self._failure is not None:
                logger.info("rollout rules at %s can be read again", self.path)
                self._failure = None

    def _keep(self, failure: str) -> None:
        if failure != self._failure:
            kept = "the last known rules hold" if self._basis_points else "everybody is on the legacy side"
            logger.error("rollout rules at %s cannot be read: %s; %s", self.path, failure, kept)
            self._failure = failure


def _parse(text: bytes) -> dict[str, int]:
    """Read a document as strictly as the services do: where one side took what the other refuses, they would differ."""
    document = _object(json.loads(text.decode("utf-8")), ".", {"version", "rollouts"})
    _expect_version(document["version"], "version")
    rollouts = document["rollouts"]
    if not isinstance(rollouts, dict):
        raise ValueError("`rollouts` is not an object")
    rules = {}
    for name, rule in rollouts.items():
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"`rollouts.{name}`: a name has 1 to 64 of a-z, 0-9 and `-`")
        rule = _object(rule, f"rollouts.{name}", {"basisPoints", "ruleVersion"})  # noqa: PLW2901 - the same, checked
        _expect_version(rule["ruleVersion"], f"rollouts.{name}.ruleVersion")
        points = rule["basisPoints"]
        if not _is_integer(points) or not 0 <= points <= FULL:
            raise ValueError(f"`rollouts.{name}.basisPoints` is not an integer from 0 to {FULL}")
        rules[name] = points
    return rules


def _object(value: Any, key: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"`{key}` is not an object")
    if wrong := sorted(keys ^ value.keys()):
        raise ValueError(f"`{key}` has the keys {sorted(value)}, and not {sorted(keys)}: see {wrong[0]}")
    return value


def _expect_version(value: Any, key: str) -> None:
    if not _is_integer(value) or value != _VERSION:
        raise ValueError(f"`{key}` is {value!r}, and this program knows only {_VERSION}; update it before the rules")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_current: RulesFile | None = None
_current_lock = threading.Lock()


def is_enabled(rollout: str, user_id: int | None) -> bool:
    """Tell whether a user is on the new side of a rollout.

    Ask once and use the answer for everything that must agree, such as the event's `effect_owner` and the old code
    path: the share may change between two questions. Without a rules file (`BANYAN["ROLLOUTS_FILE"]` or the
    environment's `BANYAN_ROLLOUTS_FILE`), and for anonymous users (None), the answer is the legacy side.
    """
    path = _settings.rollouts_file()
    if path is None:
        return in_cohort(rollout, user_id, 0)
    return _rules(path).is_enabled(rollout, user_id)


def _rules(path: str) -> RulesFile:
    global _current  # noqa: PLW0603 - one per process
    rules = _current
    if rules is None or rules.path != path:
        with _current_lock:
            if _current is None or _current.path != path:
                _current = RulesFile(path)
            rules = _current
    return rules
