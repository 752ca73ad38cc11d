"""What a sync does not carry has defaults in the database, with which a row that it brings is never due."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0003_mail_templates")]

    operations = [
        migrations.AlterField(
            model_name="notificationlog",
            name="digest",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="notificationlog",
            name="retryable",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="notificationlog",
            name="next_attempt_at",
            field=models.DateTimeField(blank=True, default=django.utils.timezone.now, null=True),
        ),
        migrations.AlterField(
            model_name="template",
            name="active",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
