"""The check of the data, held against the committed JSON Schemas."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
from django.db import models
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from banyan import InvalidEvent
from banyan.events import EVENTS
from tests.conftest import fixtures, schema

FIXTURES = fixtures()
VALIDATORS = {
    name: Draft202012Validator(schema(f"{name}.v{event.major}"), format_checker=FormatChecker())
    for name, event in EVENTS.items()
}


class Channel(models.TextChoices):
    EMAIL = "email", "By mail"


class Currency(StrEnum):
    DOLLAR = "USD"


def refused(name, field, value):
    data = FIXTURES[name]["data"] | {field: value}
    with pytest.raises(InvalidEvent) as raised:
        EVENTS[name].wire(data)
    assert raised.value.field == field
    assert str(raised.value).startswith(f"{name}: `{field}` ")
    return raised.value.reason


def test_it_knows_the_types_that_have_a_schema():
    assert set(EVENTS) == set(FIXTURES)
    for name, event in EVENTS.items():
        properties = VALIDATORS[name].schema["properties"]
        assert set(event.fields) == set(properties)
        required = {field for field, check in event.fields.items() if check.required}
        assert required == set(VALIDATORS[name].schema["required"])


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_committed_envelopes_fit_their_schemas_and_pass_unchanged(name):
    VALIDATORS[name].validate(FIXTURES[name]["data"])
    Draft202012Validator(schema("envelope.v1")).validate(FIXTURES[name])
    assert EVENTS[name].wire(FIXTURES[name]["data"]) == FIXTURES[name]["data"]


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_each_field_is_required_or_may_be_left_out(name):
    for field, check in EVENTS[name].fields.items():
        without = {key: value for key, value in FIXTURES[name]["data"].items() if key != field}
        if check.required:
            with pytest.raises(InvalidEvent, match=f"`{field}` is missing"):
                EVENTS[name].wire(without)
            refused(name, field, None)
        else:
            assert EVENTS[name].wire(without) == without
            assert EVENTS[name].wire(without | {field: None}) == without


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10.0, "must be an int, not float"),
        (Decimal(10), "must be an int, not Decimal"),
        ("10", "must be an int, not str"),
        (True, "must be an int, not bool"),
        (2**63, "does not fit into 64 bits"),
        (-(2**63) - 1, "does not fit into 64 bits"),
    ],
)
def test_an_amount_is_an_integer(value, reason):
    assert refused("payment.completed", "amountMinor", value) == reason


def test_integers_have_the_readers_size():
    assert refused("migration.phase-changed", "percent", 2**31) == "does not fit into 32 bits"
    data = FIXTURES["payment.completed"]["data"]
    for amount in (2**63 - 1, -(2**63), 0):
        assert EVENTS["payment.completed"].wire(data | {"amountMinor": amount})["amountMinor"] == amount


@pytest.mark.parametrize("value", ["usd", "USDX", "US", "USD\n", "ÜSD", ""])
def test_a_currency_is_three_capitals(value):
    assert refused("payment.completed", "currency", value) == "must match ^[A-Z]{3}$"


@pytest.mark.parametrize("value", [b"text", 1, None, ["a"], {"a": 1}])
def test_a_text_is_a_str(value):
    assert refused("user.signup", "email", value).startswith("must be a str, not ")


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"])
def test_a_text_can_be_stored(value):
    assert "cannot be stored" in refused("user.signup", "displayName", value)


def test_a_closed_set_names_its_values():
    assert refused("user.signup", "preferredChannel", "pigeon") == "must be one of email, sms, webhook"


def test_members_of_text_enums_travel_as_their_values():
    signup = EVENTS["user.signup"].wire(FIXTURES["user.signup"]["data"] | {"preferredChannel": Channel.EMAIL})
    payment = EVENTS["payment.completed"].wire(FIXTURES["payment.completed"]["data"] | {"currency": Currency.DOLLAR})
    assert type(signup["preferredChannel"]) is str
    assert (json.dumps(signup["preferredChannel"]), json.dumps(payment["currency"])) == ('"email"', '"USD"')


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 2),
        datetime(2026, 1, 2, tzinfo=UTC).date(),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-02T03:04:05Z\n",
        "20260102T030405Z",
        "٢٠٢٦-01-02T03:04:05Z",
        1767323045,
    ],
)
def test_a_time_has_a_zone(value):
    refused("user.deleted", "deletedAt", value)


@pytest.mark.parametrize(
    "value", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456789+01:00", "2024-02-29T00:00:00-11:30"]
)
def test_a_time_may_be_text(value):
    assert EVENTS["user.deleted"].wire({"userId": 1, "deletedAt": value})["deletedAt"] == value


def test_an_id_is_a_uuid_or_its_text():
    data = FIXTURES["migration.alert"]["data"]
    for value in (UUID(int=7), str(UUID(int=7)), "{00000000-0000-0000-0000-000000000007}"):
        assert EVENTS["migration.alert"].wire(data | {"runId": value})["runId"] == str(UUID(int=7))
    refused("migration.alert", "runId", "seven")
    refused("migration.alert", "runId", 7)


def test_errors_do_not_quote_the_data():
    for name, event in EVENTS.items():
        for field, check in event.fields.items():
            if check.kind != "text" or check.values or check.pattern:
                assert "SECRET" not in refused(name, field, "SECRET")
    assert "SECRET" not in refused("user.signup", "email", "SECRET\x00")


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(st.characters()),
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(),
    st.uuids(),
    st.sampled_from(["USD", "email", "0.5", "2026-01-02T03:04:05Z", Channel.EMAIL]),
    st.lists(st.integers()),
)


@given(st.sampled_from(sorted(EVENTS)), st.data())
def test_whatever_passes_fits_the_schema_and_survives_json(name, data):
    field = data.draw(st.sampled_from(sorted(EVENTS[name].fields)))
    value = data.draw(anything)
    try:
        wire = EVENTS[name].wire(FIXTURES[name]["data"] | {field: value})
    except InvalidEvent:
        return
    VALIDATORS[name].validate(wire)
    assert json.loads(json.dumps(wire, ensure_ascii=False, allow_nan=False).encode()) == wire
