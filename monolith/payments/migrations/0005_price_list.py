"""Plans, coupons and fees that the company starts with."""

from datetime import UTC, datetime
from decimal import Decimal

from django.db import migrations

# The ids are part of the API: clients name a plan by its id.
PLANS = [
    (1, "basic-monthly", "Basic, monthly", "9.99", "USD", "month"),
    (2, "pro-monthly", "Pro, monthly", "29.00", "USD", "month"),
    (3, "team-yearly", "Team, yearly", "290.00", "EUR", "year"),
    (4, "starter-monthly", "Starter, monthly", "980", "JPY", "month"),
    (5, "gulf-monthly", "Gulf, monthly", "3.500", "KWD", "month"),
]
COUPONS = [
    {"code": "WELCOME10", "percent_off": 10},
    {"code": "FIVEOFF", "amount_off": Decimal("5.00"), "currency_id": "USD"},
]
# Currency, percentage in basis points, fixed part.
FEES = [
    ("AUD", 175, "0.30"),
    ("BHD", 290, "0.100"),
    ("CAD", 290, "0.30"),
    ("CHF", 290, "0.30"),
    ("EUR", 150, "0.25"),
    ("GBP", 150, "0.20"),
    ("JPY", 360, "0"),
    ("KRW", 350, "0"),
    ("KWD", 290, "0.100"),
    ("SEK", 150, "1.80"),
    ("USD", 290, "0.30"),
]
SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def add(apps, schema_editor):
    Plan = apps.get_model("payments", "Plan")
    for plan_id, code, name, amount, currency, interval in PLANS:
        Plan.objects.get_or_create(
            id=plan_id,
            defaults={
                "code": code,
                "name": name,
                "amount": Decimal(amount),
                "currency_id": currency,
                "interval": interval,
            },
        )
    Coupon = apps.get_model("payments", "Coupon")
    for coupon in COUPONS:
        Coupon.objects.get_or_create(code=coupon["code"], defaults=coupon)
    FeeSchedule = apps.get_model("payments", "FeeSchedule")
    for currency, percent_bp, fixed in FEES:
        FeeSchedule.objects.get_or_create(
            currency_id=currency,
            valid_from=SINCE,
            defaults={"percent_bp": percent_bp, "fixed": Decimal(fixed)},
        )


class Migration(migrations.Migration):
    dependencies = [("payments", "0004_ledger_rules")]

    operations = [
        migrations.RunPython(add, migrations.RunPython.noop),
        # The ids above were set by hand: the next plan's comes after them.
        migrations.RunSQL(
            "SELECT setval(pg_get_serial_sequence('payments_plan', 'id'), (SELECT max(id) FROM payments_plan));",
            migrations.RunSQL.noop,
        ),
    ]
