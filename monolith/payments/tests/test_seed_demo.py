"""`manage.py seed_demo`."""

from io import StringIO

from django.core.management import call_command

from payments.management.commands.seed_demo import PASSWORD, PEOPLE
from payments.models import PaymentMethod
from testing.api import Api
from testing.outbox import events


def test_seeds_people_who_can_pay_and_does_so_once(stripe):
    for _ in range(2):
        call_command("seed_demo", stdout=StringIO())
    assert [event.data["email"] for event in events()] == [person.email for person in PEOPLE]
    assert PaymentMethod.objects.count() == len(PEOPLE)
    login = Api().post("/api/users/login", {"email": PEOPLE[0].email, "password": PASSWORD}).json()
    api = Api(login["accessToken"])
    (method,) = api.get("/api/payments/methods").json()["items"]
    assert api.charge(paymentMethodId=method["id"]).status_code == 201
