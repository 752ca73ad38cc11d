"""Access tokens: JWT signed with Ed25519 (RFC 8037)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

ALGORITHM = "EdDSA"


@dataclass(frozen=True)
class Claims:
    """Who a token speaks for."""

    user_id: int
    session_id: int
    staff: bool = False


class InvalidToken(Exception):
    """The token is not ours, was changed, or has expired."""


@lru_cache(maxsize=1)
def _signing_key() -> tuple[Ed25519PrivateKey, dict[str, str]]:
    """The private key and its public JWK with the RFC 7638 thumbprint as `kid`."""
    path = settings.JWT_PRIVATE_KEY_FILE
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise ImproperlyConfigured(f"JWT_PRIVATE_KEY_FILE: {path} is not a PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ImproperlyConfigured(f"JWT_PRIVATE_KEY_FILE: {path} is not an Ed25519 key")
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    thumbprint = hashlib.sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode())
    return key, {**required, "alg": ALGORITHM, "use": "sig", "kid": _base64url(thumbprint.digest())}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def issue(user_id: int, session_id: int, now: datetime, *, staff: bool = False) -> str:
    """A token for a session, good for `JWT_LIFETIME_SECONDS`."""
    key, jwk = _signing_key()
    claims: dict[str, Any] = {
        "sub": str(user_id),
        "sid": str(session_id),
        "iat": now,
        "exp": now + timedelta(seconds=settings.JWT_LIFETIME_SECONDS),
    }
    if staff:
        claims["staff"] = True
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": jwk["kid"]})


def verify(token: str) -> Claims:
    """The claims of a valid token."""
    key, _ = _signing_key()
    try:
        claims = jwt.decode(
            token, key.public_key(), algorithms=[ALGORITHM], options={"require": ["sub", "sid", "exp"]}, leeway=5
        )
        return Claims(user_id=int(claims["sub"]), session_id=int(claims["sid"]), staff=claims.get("staff") is True)
    except (jwt.InvalidTokenError, TypeError, ValueError) as error:
        raise InvalidToken(str(error)) from None


def jwks() -> dict[str, list[dict[str, Any]]]:
    """The public keys that tokens can be checked with (RFC 7517)."""
    return {"keys": [_signing_key()[1]]}
