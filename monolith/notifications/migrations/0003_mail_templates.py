"""The mails as they were in template files, and those of refunds, exports and digests, as version 1."""

from pathlib import Path

from django.db import migrations

MAILS = Path(__file__).parent / "mails"


def text(name, ending):
    path = MAILS / f"{name}.{ending}"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def add(apps, schema_editor):
    Template = apps.get_model("notifications", "Template")
    for name in sorted(path.name.removesuffix(".html") for path in MAILS.glob("*.html")):
        Template.objects.get_or_create(
            name=name,
            locale="en",
            version=1,
            defaults={
                "subject": text(name, "subject.txt").strip(),
                "body_html": text(name, "html"),
                "body_text": text(name, "txt"),
                "active": True,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_templates_devices_digests")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
