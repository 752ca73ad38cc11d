"""How often a coupon was used is the number of subscriptions that were paid with it.

Kept as a number it is written by both sides at once while payments move to their service.
"""

from django.db import migrations


class Migration(migrations.Migration):
    """One column less."""

    dependencies = [("payments", "0006_two_sides")]

    operations = [migrations.RemoveField("coupon", "times_redeemed")]
