"""What the monolith consists of, counted by Django and Celery themselves: the list that extractions are measured by."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from monolith.celery import app as celery_app

TABLES = {
    "payments": {
        "currency",
        "exchange_rate",
        "customer",
        "payment_method",
        "payment",
        "payment_attempt",
        "payment_status_change",
        "refund",
        "dispute",
        "dispute_evidence",
        "payout",
        "payout_item",
        "ledger_account",
        "ledger_transaction",
        "ledger_entry",
        "fee_schedule",
        "fee",
        "plan",
        "subscription",
        "invoice",
        "invoice_line",
        "coupon",
        "stripe_webhook_event",
    },
    "users": {
        "user",
        "profile",
        "email_address",
        "email_verification",
        "password_reset",
        "session",
        "login_attempt",
        "consent",
    },
    "notifications": {"notification_log", "template", "preference", "device"},
    "reporting": {"daily_revenue", "report_export"},
}

OPERATIONS = {
    "payments": {
        "POST /api/payments/charge",
        "GET /api/payments/",
        "GET /api/payments/{id}",
        "POST /api/payments/{id}/capture",
        "POST /api/payments/{id}/cancel",
        "POST /api/payments/{id}/refunds",
        "GET /api/payments/{id}/refunds",
        "POST /api/payments/methods",
        "GET /api/payments/methods",
        "DELETE /api/payments/methods/{id}",
        "POST /api/payments/subscriptions",
        "DELETE /api/payments/subscriptions/{id}",
        "GET /api/payments/invoices",
        "GET /api/payments/balance",
        "POST /api/payments/webhooks/stripe",
    },
    "users": {
        "POST /api/users/signup",
        "POST /api/users/login",
        "POST /api/users/logout",
        "POST /api/users/token/refresh",
        "GET /api/users/me",
        "PATCH /api/users/me",
        "DELETE /api/users/me",
        "POST /api/users/password-reset",
        "POST /api/users/password-reset/confirm",
        "POST /api/users/verify-email",
        "GET /api/users/sessions",
        "DELETE /api/users/sessions/{id}",
    },
    "notifications": {
        "GET /api/notifications/",
        "GET /api/notifications/preferences",
        "PUT /api/notifications/preferences",
    },
    "reporting": {
        "GET /api/reports/revenue",
        "GET /api/reports/users",
        "POST /api/reports/exports",
        "GET /api/reports/exports/{id}",
    },
}

TASKS = {
    "payments": {"reconcile_pending_payments", "renew_subscriptions", "create_payouts"},
    "users": {"purge_expired_tokens"},
    "notifications": {
        "deliver_pending",
        "retry_failed_deliveries",
        "send_daily_digest",
        "process_bounces",
        "purge_old_logs",
    },
    "reporting": {"roll_up_daily_revenue", "build_exports"},
}

DOMAINS = list(TABLES)


def test_the_lists_have_the_agreed_lengths():
    for lists, lengths in ((TABLES, (23, 8, 4, 2)), (OPERATIONS, (15, 12, 3, 4)), (TASKS, (3, 1, 5, 2))):
        assert tuple(len(lists[domain]) for domain in DOMAINS) == lengths


@pytest.mark.parametrize("domain", DOMAINS)
def test_tables(domain):
    models = apps.get_app_config(domain).get_models(include_auto_created=True)
    assert sorted(model._meta.db_table for model in models) == sorted(f"{domain}_{name}" for name in TABLES[domain])


def test_nobody_else_has_tables_but_django_and_the_outbox():
    others = {model._meta.app_label for model in apps.get_models(include_auto_created=True)} - set(DOMAINS)
    assert others <= {"contenttypes", "auth", "banyan"}


def test_the_migrations_say_what_the_models_say():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def patterns(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern


def operations() -> Iterator[tuple[str, str]]:
    """Each operation with the package of its view."""
    for path, pattern in patterns(get_resolver()):
        for method, view in getattr(pattern.callback, "operations", {}).items():
            parts = ("{id}" if part.startswith("<") else part for part in path.split("/"))
            yield f"{method} {'/'.join(parts)}", view.__module__.partition(".")[0]


@pytest.mark.parametrize("domain", DOMAINS)
def test_operations(domain):
    assert sorted(name for name, package in operations() if package == domain) == sorted(OPERATIONS[domain])


def test_every_path_below_api_is_an_operation():
    below = {path for path, pattern in patterns(get_resolver()) if path.startswith("/api/")}
    with_operations = {
        path for path, pattern in patterns(get_resolver()) if getattr(pattern.callback, "operations", None)
    }
    assert below == with_operations


def registered_tasks() -> set[str]:
    celery_app.loader.import_default_modules()
    return {name for name in celery_app.tasks if not name.startswith("celery.")}


def test_tasks():
    assert registered_tasks() == {f"{domain}.{task}" for domain, tasks in TASKS.items() for task in tasks}


def test_every_task_has_its_time():
    scheduled = [entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()]
    assert sorted(scheduled) == sorted(registered_tasks())
