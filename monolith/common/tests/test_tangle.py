"""The tangle is deliberate: it is what extractions have to deal with, so it must not go away by accident."""

import ast
import re
from pathlib import Path

from django.conf import settings

DOMAINS = ("payments", "users", "notifications", "reporting")
_PAYMENT_TABLE = re.compile(r"\bpayments_[a-z_]+\b")


def modules(*packages: str) -> list[Path]:
    """The source files of domains, without migrations and tests."""
    root = Path(settings.BASE_DIR)
    found = [path for package in packages for path in (root / package).rglob("*.py")]
    return [path for path in found if not {"migrations", "tests"} & set(path.relative_to(root).parts)]


def imported(path: Path) -> set[str]:
    """The modules that a file imports, absolute ones only: relative ones cannot leave a domain."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


def has_payments_sql(path: Path) -> bool:
    """Whether a text in the code names a payments table."""
    texts = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return any(isinstance(text, str) and _PAYMENT_TABLE.search(text) and "FROM" in text for text in texts)


def test_at_least_eight_modules_outside_payments_read_payment_tables():
    outside = modules(*(domain for domain in DOMAINS if domain != "payments"))
    readers = [
        path
        for path in outside
        if any(name.startswith("payments.models") for name in imported(path)) or has_payments_sql(path)
    ]
    assert len(readers) >= 8, readers


def test_who_imports_whom():
    pairs = {
        (domain, name.partition(".")[0])
        for domain in DOMAINS
        for path in modules(domain)
        for name in imported(path)
        if name.partition(".")[0] in DOMAINS and name.partition(".")[0] != domain
    }
    assert pairs == {
        ("payments", "users"),
        ("payments", "notifications"),
        ("users", "notifications"),
        ("notifications", "users"),
        ("notifications", "payments"),
        ("notifications", "reporting"),
        ("reporting", "payments"),
        ("reporting", "users"),
        ("reporting", "notifications"),
    }
