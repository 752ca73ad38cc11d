"""Single-use tokens of mailed links.

A token is an HMAC of a random nonce under a key derived from `SECRET_KEY`. The row keeps the nonce
and the token's SHA-256, so the database alone does not give a working link, and a mail that is
sent again later can carry the same link although nobody stored it.
"""

from __future__ import annotations

import base64
import hashlib
import uuid

from django.utils.crypto import salted_hmac


def new_nonce() -> uuid.UUID:
    """A fresh nonce."""
    return uuid.uuid4()


def token_for(purpose: str, nonce: uuid.UUID) -> str:
    """The token of a nonce: 43 characters that are safe in a URL."""
    mac = salted_hmac(f"users.onetime.{purpose}", nonce.bytes, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def hash_token(token: str) -> str:
    """What is stored of a token. It is random over 256 bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
