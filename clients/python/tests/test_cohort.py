"""The cohort decision, against the vectors that nginx, Rust and Python share."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan import in_cohort, murmur2
from banyan.cohort import position
from tests.conftest import CONTRACTS

GOLDEN = json.loads((CONTRACTS / "cohort/golden.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", GOLDEN["hashes"], ids=lambda vector: vector["text"])
def test_the_shared_hashes(vector):
    assert murmur2(vector["text"].encode()) == vector["murmur2"]


@pytest.mark.parametrize("vector", GOLDEN["decisions"], ids=lambda vector: f"{vector['rollout']}:{vector['userId']}")
def test_the_shared_decisions(vector):
    rollout, user, start = vector["rollout"], vector["userId"], vector["enabledFrom"]
    for points in {0, 1, 5000, 9999, 10_000} | ({start - 1, start} if start else set()):
        assert in_cohort(rollout, user, points) == (start is not None and points >= start), points
    assert position(rollout, user) == start


@pytest.mark.parametrize("vector", GOLDEN["counts"], ids=lambda vector: str(vector["basisPoints"]))
def test_the_shared_counts(vector):
    users = range(vector["firstUserId"], vector["lastUserId"] + 1)
    inside = sum(in_cohort(vector["rollout"], user, vector["basisPoints"]) for user in users)
    assert inside == vector["enabled"]


def test_nobody_and_everybody():
    assert not in_cohort("r", None, 10_000)
    assert not any(in_cohort("r", user, 0) for user in range(1, 1000))
    assert all(in_cohort("r", user, 10_000) for user in range(1, 1000))


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 2**63 - 1), st.integers(0, 10_000), st.integers(0, 10_000))
def test_who_is_in_stays_in(rollout, user, first, second):
    less, more = sorted((first, second))
    assert in_cohort(rollout, user, less) <= in_cohort(rollout, user, more)


@pytest.mark.parametrize("user", [True, 1.0, b"1", "1", object()])
def test_only_an_id_is_an_id(user):
    with pytest.raises(TypeError, match=r"pass user\.pk"):
        in_cohort("r", user, 5000)


@pytest.mark.parametrize("points", [-1, 10_001])
def test_a_share_is_between_nothing_and_all(points):
    with pytest.raises(ValueError, match="between 0 and 10000"):
        in_cohort("r", 1, points)
