"""Rules from a file: read again when it changed, kept when it breaks."""

import json
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from banyan import in_cohort, is_enabled
from banyan.rollouts import RulesFile

ROLLOUT = "notifications-v2"


def rules(points):
    return json.dumps({"version": 1, "rollouts": {ROLLOUT: {"basisPoints": points, "ruleVersion": 1}}})


class Clock:
    """Seconds that pass when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rollouts.json"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watched(file, clock):
    return RulesFile(str(file), clock)


def replace(file, text):
    """Write as a careful writer does: a new file under the old name."""
    new = file.with_suffix(".new")
    new.write_text(text, "utf-8")
    os.replace(new, file)


def enabled(watched):
    """Whether user 42 is in; at 0 nobody is and at 10000 everybody."""
    return watched.is_enabled(ROLLOUT, 42)


def test_the_rules_decide(file, watched):
    file.write_text(rules(2000))
    for user in range(500):
        assert watched.is_enabled(ROLLOUT, user) == in_cohort(ROLLOUT, user, 2000)
    assert not watched.is_enabled("unheard-of", 42)
    assert not watched.is_enabled(ROLLOUT, None)


def test_a_change_is_seen_after_a_second_and_not_looked_for_before(file, watched, clock, monkeypatch):
    file.write_text(rules(0))
    assert not enabled(watched)
    replace(file, rules(10_000))
    opened = []
    monkeypatch.setattr("builtins.open", lambda *args, _open=open: opened.append(args) or _open(*args))
    clock.now = 0.99
    assert not enabled(watched)
    assert opened == []
    clock.now = 1.0
    assert enabled(watched)
    assert enabled(watched)
    assert len(opened) == 1


def test_a_file_rewritten_in_place_is_seen(file, watched, clock):
    file.write_text(rules(0))
    assert not enabled(watched)
    file.write_text(rules(10_000))
    clock.now += 1
    assert enabled(watched)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "`.` is not an object"),
        ('{"version": 2, "rollouts": {}}', "`version` is 2"),
        ('{"version": true, "rollouts": {}}', "`version` is True"),
        ('{"version": 1.0, "rollouts": {}}', "`version` is 1.0"),
        ('{"version": 1}', "see rollouts"),
        ('{"version": 1, "rollouts": []}', "`rollouts` is not an object"),
        ('{"version": 1, "rollouts": {}, "rolouts": {}}', "see rolouts"),
        ('{"version": 1, "rollouts": {"a b": {}}}', "`rollouts.a b`: a name has"),
        (rules(0).replace("ruleVersion", "ruleversion"), "see ruleVersion"),
        (rules(0).replace('"ruleVersion": 1', '"ruleVersion": 2'), f"`rollouts.{ROLLOUT}.ruleVersion` is 2"),
        (rules(10_001), f"`rollouts.{ROLLOUT}.basisPoints` is not an integer from 0 to 10000"),
        (rules(-1), "basisPoints"),
        (rules(True), "basisPoints"),
        (rules(0.5), "basisPoints"),
        (rules("1"), "basisPoints"),
        (f'{{"version": 1, "rollouts": {{"{ROLLOUT}": 10000}}}}', f"`rollouts.{ROLLOUT}` is not an object"),
        ("\ufeff" + rules(0), "BOM"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_broken_file_changes_nothing_and_is_told_once(file, watched, clock, caplog, text, reason):
    file.write_text(rules(10_000))
    assert enabled(watched)
    replace(file, text)
    with caplog.at_level(logging.INFO, "banyan.rollouts"):
        for _ in range(5):
            clock.now += 1
            assert enabled(watched)
    (record,) = caplog.records
    assert reason in record.getMessage()
    assert "the last known rules hold" in record.getMessage()
    replace(file, rules(0))
    clock.now += 1
    assert not enabled(watched)


def test_a_file_that_vanishes_changes_nothing(file, watched, clock, caplog):
    file.write_text(rules(10_000))
    assert enabled(watched)
    file.unlink()
    with caplog.at_level(logging.INFO, "banyan.rollouts"):
        for _ in range(3):
            clock.now += 1
            assert enabled(watched)
        file.write_text(rules(10_000))
        clock.now += 1
        assert enabled(watched)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "does not exist" in caplog.records[0].getMessage()


def test_with_nothing_known_everybody_is_legacy_until_the_file_is_there(file, watched, clock, caplog):
    assert not enabled(watched)
    assert "everybody is on the legacy side" in caplog.records[0].getMessage()
    file.write_text(rules(10_000))
    clock.now += 1
    assert enabled(watched)


def test_a_path_that_cannot_be_read_changes_nothing(tmp_path, clock, caplog):
    watched = RulesFile(str(tmp_path), clock)
    assert not watched.is_enabled(ROLLOUT, 42)
    assert len(caplog.records) == 1


def test_no_thread_waits_for_the_one_that_reads(file, watched, clock, monkeypatch):
    file.write_text(rules(10_000))
    assert enabled(watched)
    reading, may_end = threading.Event(), threading.Event()
    read = watched._read_if_changed

    def slowly():
        reading.set()
        assert may_end.wait(10)
        read()

    monkeypatch.setattr(watched, "_read_if_changed", slowly)
    replace(file, rules(0))
    clock.now += 1
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(enabled, watched)
        assert reading.wait(10)
        assert enabled(watched)  # The old rules, at once.
        may_end.set()
        assert not reader.result(10)
    assert not enabled(watched)


def test_the_first_question_is_never_answered_before_the_rules_are_read(file):
    file.write_text(rules(10_000))
    for _ in range(50):
        watched = RulesFile(str(file))
        start = threading.Barrier(4)

        def ask(watched=watched, start=start):
            start.wait()
            return enabled(watched)

        with ThreadPoolExecutor(4) as pool:
            assert all(answer.result() for answer in [pool.submit(ask) for _ in range(4)])


def test_a_fork_while_the_file_is_read_does_not_hang_the_child(file, watched, clock):
    file.write_text(rules(10_000))
    with watched._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if enabled(watched) else 1)
        _, status = os.waitpid(child, 0)
    assert status == 0


def test_the_file_is_named_by_the_settings_or_the_environment(file, tmp_path, settings, monkeypatch):
    monkeypatch.delenv("BANYAN_ROLLOUTS_FILE", raising=False)
    settings.BANYAN = {}
    assert not is_enabled(ROLLOUT, 42)
    file.write_text(rules(10_000))
    monkeypatch.setenv("BANYAN_ROLLOUTS_FILE", str(file))
    assert is_enabled(ROLLOUT, 42)
    other = tmp_path / "other.json"
    other.write_text(rules(0))
    settings.BANYAN = {"ROLLOUTS_FILE": other}
    assert not is_enabled(ROLLOUT, 42)


def test_a_wrong_id_is_an_error_also_without_rules(settings, monkeypatch):
    monkeypatch.delenv("BANYAN_ROLLOUTS_FILE", raising=False)
    settings.BANYAN = {}
    with pytest.raises(TypeError):
        is_enabled(ROLLOUT, object())
