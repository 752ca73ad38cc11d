"""The currencies that payments can be made in, with their ISO 4217 decimals."""

from django.db import migrations

CURRENCIES = [
    ("AUD", "Australian dollar", 2),
    ("BHD", "Bahraini dinar", 3),
    ("CAD", "Canadian dollar", 2),
    ("CHF", "Swiss franc", 2),
    ("EUR", "Euro", 2),
    ("GBP", "Pound sterling", 2),
    ("JPY", "Yen", 0),
    ("KRW", "Won", 0),
    ("KWD", "Kuwaiti dinar", 3),
    ("SEK", "Swedish krona", 2),
    ("USD", "US dollar", 2),
]


def add(apps, schema_editor):
    Currency = apps.get_model("payments", "Currency")
    for code, name, decimals in CURRENCIES:
        Currency.objects.get_or_create(code=code, defaults={"name": name, "decimals": decimals})


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
