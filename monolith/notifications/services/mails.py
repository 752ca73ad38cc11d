"""Putting mails into words, with the templates that are in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.template import Context, Engine

from notifications.models import NotificationLog, Template
from users.models import User

from .sources import SOURCES

LAYOUT = "layout"
FALLBACK_LOCALE = "en"


@dataclass(frozen=True)
class Mail:
    """A composed mail."""

    to: str
    subject: str
    text: str
    html: str
    template_version: int


class TemplateMissing(Exception):
    """No version of a template is active."""


def compose(log: NotificationLog) -> Mail:
    """The mail of a notification, made of the row that its event is about."""
    letter = SOURCES[log.event_type](log.object_id)
    return put_into_words(log.template, letter.user, letter.to, letter.context)


def put_into_words(template: str, user: User, to: str, context: Mapping[str, Any]) -> Mail:
    """A mail to a user in the user's language, as far as there is a template in it."""
    texts = _active(template, user.profile.locale)
    layout = _active(LAYOUT, texts.locale)
    # Templates see each other only by way of the layout, and no files.
    engine = Engine(loaders=[("django.template.loaders.locmem.Loader", {"layout.html": layout.body_html})])
    values = {"name": user.profile.display_name, **context}

    def render(text: str, *, html: bool) -> str:
        return engine.from_string(text).render(Context(values, autoescape=html))

    return Mail(
        to=to,
        # A header is one line, whatever a template's author typed.
        subject=" ".join(render(texts.subject, html=False).split()),
        text=render(texts.body_text, html=False),
        html=render(texts.body_html, html=True),
        template_version=texts.version,
    )


def _active(name: str, locale: str) -> Template:
    """`de-AT` falls back to `de`, then to English."""
    wanted = [locale, locale.partition("-")[0], FALLBACK_LOCALE]
    found = {row.locale: row for row in Template.objects.filter(name=name, locale__in=wanted, active=True)}
    for candidate in wanted:
        if candidate in found:
            return found[candidate]
    raise TemplateMissing(name)
