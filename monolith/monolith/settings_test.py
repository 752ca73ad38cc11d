"""Settings of the tests: a real PostgreSQL, Stripe's stand-in behind a proxy that can break, a real SMTP sink.

`BANYAN_TEST_POSTGRES_URL` names a PostgreSQL server and a role that may create databases.
"""

import atexit
import os
import shutil
import socket
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.exceptions import ImproperlyConfigured

_url = os.environ.get("BANYAN_TEST_POSTGRES_URL")
if not _url:
    raise ImproperlyConfigured(
        "Set BANYAN_TEST_POSTGRES_URL to a PostgreSQL server where databases can be created, "
        "such as postgres://postgres@127.0.0.1:5432/postgres"
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


TEST_DIR = Path(tempfile.mkdtemp(prefix="monolith-tests-"))
atexit.register(shutil.rmtree, TEST_DIR, ignore_errors=True)

_key = TEST_DIR / "jwt.pem"
_key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
TEST_LOCALSTRIPE_PORT = _free_port()
TEST_STRIPE_PORT = _free_port()
TEST_SMTP_PORT = _free_port()

os.environ.update(
    {
        "DATABASE_URL": _url,
        "CELERY_BROKER_URL": "memory://",
        "STRIPE_API_BASE": f"http://127.0.0.1:{TEST_STRIPE_PORT}",
        "STRIPE_API_KEY": "sk_test_monolith",
        "STRIPE_TIMEOUT_SECONDS": "2",
        "STRIPE_WEBHOOK_SECRET": "whsec_only_for_tests",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(TEST_SMTP_PORT),
        "EMAIL_TIMEOUT_SECONDS": "2",
        "JWT_PRIVATE_KEY_FILE": str(_key),
        "DJANGO_SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests-only-for-tests",
    }
)
os.environ.pop("BANYAN_ROLLOUTS_FILE", None)

from .settings import *  # noqa: E402, F403

# Hashing is meant to be slow; the tests need not be.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING_CONFIG = None
