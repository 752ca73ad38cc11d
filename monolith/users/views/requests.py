"""Where a request came from."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from users.services.sessions import Client


def client_of(request: HttpRequest) -> Client:
    """The client's address, as told by the gateway when the peer is one, and its user agent."""
    peer = request.META.get("REMOTE_ADDR", "")
    if peer in settings.TRUSTED_PROXIES:
        # Only the last hop was written by our gateway; the ones before come from the client.
        peer = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or peer
    user_agent = request.headers.get("User-Agent", "")
    printable = "".join(character for character in user_agent if character.isprintable())
    return Client(ip_address=_address_or_none(peer), user_agent=printable)


def _address_or_none(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
