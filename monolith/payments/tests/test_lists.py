"""Reading payments and payment methods."""

import pytest

from payments import stripe_gateway
from payments.models import PaymentMethod
from testing.api import Api, sign_up


@pytest.fixture
def api(stripe):
    return sign_up()


def test_methods(api):
    good = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa"})
    assert good.status_code == 201
    assert good.json() == {
        "id": PaymentMethod.objects.get().pk,
        "brand": "visa",
        "last4": "4242",
        "expMonth": 12,
        "expYear": 2030,
        "isDefault": True,
    }
    declined_later = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_chargeDeclined"})
    assert (declined_later.status_code, declined_later.json()["isDefault"]) == (201, False)
    refused = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa_chargeDeclined"})
    assert refused.status_code == 402
    assert refused.json()["type"] == "urn:banyan:problem:payment-method-declined"
    listed = api.get("/api/payments/methods").json()
    assert listed == {"items": [declined_later.json(), good.json()], "nextCursor": None}
    assert sign_up("grace@example.com").get("/api/payments/methods").json()["items"] == []


def test_removing_a_method(api):
    ids = [
        api.post("/api/payments/methods", {"stripePaymentMethodId": card}).json()["id"]
        for card in ("pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined")
    ]
    path = f"/api/payments/methods/{ids[0]}"
    assert sign_up("grace@example.com").send("DELETE", path).status_code == 404
    assert Api().send("DELETE", path).status_code == 401
    answer = api.send("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.send("DELETE", path).status_code == 404
    # The newest of the others is the default now.
    shown = api.get("/api/payments/methods").json()["items"]
    assert [(item["id"], item["isDefault"]) for item in shown] == [(ids[2], True), (ids[1], False)]
    assert api.charge(paymentMethodId=ids[0]).status_code == 422
    removed = PaymentMethod.objects.get(pk=ids[0])
    assert stripe_gateway._client().v1.payment_methods.retrieve(removed.stripe_payment_method_id).customer is None


def test_a_removed_card_can_be_added_again(api):
    method = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa"}).json()
    stripe_id = PaymentMethod.objects.get().stripe_payment_method_id
    api.send("DELETE", f"/api/payments/methods/{method['id']}")
    # Stripe itself refuses a card that was detached; localstripe takes it.
    assert api.post("/api/payments/methods", {"stripePaymentMethodId": stripe_id}).json() == method
    assert api.get("/api/payments/methods").json()["items"] == [method]


def test_a_card_of_somebody_else_is_not_added(api):
    api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa"})
    stripe_id = PaymentMethod.objects.get().stripe_payment_method_id
    answer = sign_up("grace@example.com").post("/api/payments/methods", {"stripePaymentMethodId": stripe_id})
    assert answer.status_code == 422


@pytest.mark.parametrize("sent", [None, 5, "", "card_123", "pm_unknown", "pm_" + "x" * 100, "pm_../x", "pm_a\u0000"])
def test_a_method_that_is_none(api, sent):
    answer = api.post("/api/payments/methods", {"stripePaymentMethodId": sent})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "stripePaymentMethodId"


def test_pages_are_newest_first_and_stable_under_inserts(api):
    ids = [api.charge().json()["id"] for _ in range(5)]
    first = api.get("/api/payments/?limit=2").json()
    assert [item["id"] for item in first["items"]] == ids[:-3:-1]
    api.charge()
    second = api.get(f"/api/payments/?limit=2&cursor={first['nextCursor']}").json()
    assert [item["id"] for item in second["items"]] == [ids[2], ids[1]]
    third = api.get(f"/api/payments/?limit=2&cursor={second['nextCursor']}").json()
    assert [item["id"] for item in third["items"]] == [ids[0]]
    assert third["nextCursor"] is None


def test_only_one_s_own(api):
    payment = api.charge().json()
    other = sign_up("grace@example.com")
    assert api.get(f"/api/payments/{payment['id']}").json() == payment
    assert other.get(f"/api/payments/{payment['id']}").status_code == 404
    assert other.get("/api/payments/").json() == {"items": [], "nextCursor": None}
    for nothing in (payment["id"] + 1, 10**40):
        assert api.get(f"/api/payments/{nothing}").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=-1", "limit=%00", "cursor=!", "cursor=AAAA", "cursor=MS4yLjM"],
)
def test_a_bad_page_is_400(api, query):
    answer = api.get(f"/api/payments/?{query}")
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
