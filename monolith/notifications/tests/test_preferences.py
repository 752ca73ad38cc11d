"""What users want to get."""

import pytest

from testing.api import Api, sign_up

PATH = "/api/notifications/preferences"
DEFAULT = {"enabled": True, "channel": None, "digest": False}
DEFAULTS = {"categories": [{"category": name, **DEFAULT} for name in ("payments", "account", "reports")]}


def test_everything_is_on_until_switched_off():
    assert sign_up().get(PATH).json() == DEFAULTS
    assert Api().get(PATH).status_code == 401


def test_put_replaces_the_choices():
    api = sign_up()
    wanted = {"category": "reports", "enabled": True, "channel": "webhook", "digest": True}
    answer = api.send("PUT", PATH, {"categories": [{"category": "payments", "enabled": False}, wanted]})
    assert answer.status_code == 200
    assert answer.json()["categories"] == [
        {"category": "payments", **DEFAULT, "enabled": False},
        {"category": "account", **DEFAULT},
        wanted,
    ]
    assert api.get(PATH).json() == answer.json()
    assert api.send("PUT", PATH, {"categories": []}).json() == DEFAULTS
    assert sign_up("grace@example.com").get(PATH).json() == DEFAULTS


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "categories"),
        ({"categories": {}}, "categories"),
        ({"categories": [], "more": 1}, "more"),
        ({"categories": ["payments"]}, "categories[0]"),
        ({"categories": [{"category": "weather"}]}, "categories[0].category"),
        ({"categories": [{"category": ["payments"]}]}, "categories[0].category"),
        ({"categories": [{"category": "payments"}, {"category": "payments"}]}, "categories[1].category"),
        ({"categories": [{"category": "payments", "enabled": 1}]}, "categories[0].enabled"),
        ({"categories": [{"category": "payments", "digest": "no"}]}, "categories[0].digest"),
        ({"categories": [{"category": "payments", "channel": "pigeon"}]}, "categories[0].channel"),
        ({"categories": [{"category": "payments", "channel": {}}]}, "categories[0].channel"),
    ],
)
def test_names_the_field_that_is_wrong(body, field):
    answer = sign_up().send("PUT", PATH, body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
