"""Settings of the monolith. Everything that differs between places comes from the environment."""

from pathlib import Path

from celery.schedules import crontab

from .env import Environment

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()

SECRET_KEY = env.text("DJANGO_SECRET_KEY", hint="a long random text")
DEBUG = env.boolean("DJANGO_DEBUG", False)
ALLOWED_HOSTS = env.text("DJANGO_ALLOWED_HOSTS", "*").split(",")

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "banyan.django",
    "users",
    "payments",
    "notifications",
    "reporting",
    "seeding",
]

MIDDLEWARE = [
    "common.middleware.RequestContext",
    "django.middleware.security.SecurityMiddleware",
    "common.middleware.ProblemAnswers",
]

ROOT_URLCONF = "monolith.urls"
WSGI_APPLICATION = "monolith.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": []},
    }
]

# --- Database ---------------------------------------------------------------------------------

_database = env.database("DATABASE_URL")
_database.setdefault("OPTIONS", {})
_database["OPTIONS"] = {
    "connect_timeout": 5,
    "application_name": "monolith",
    # A lost client or a stuck lock must not hold rows for ever.
    "options": ("-c statement_timeout=15000 -c lock_timeout=8000 -c idle_in_transaction_session_timeout=60000"),
    **_database["OPTIONS"],
}
_database["CONN_MAX_AGE"] = env.integer("DATABASE_CONN_MAX_AGE", 300)
_database["CONN_HEALTH_CHECKS"] = True
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Identity ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "users.User"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "users.validators.NotSimilarToAccount",
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# The first one makes new hashes; whoever has an older one logs in by it once, and gets a new one.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.BCryptPasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.MD5PasswordHasher",
]
JWT_PRIVATE_KEY_FILE = env.file("JWT_PRIVATE_KEY_FILE", hint="a PEM file with an Ed25519 private key")
JWT_LIFETIME_SECONDS = 15 * 60
SESSION_LIFETIME_DAYS = 30
EMAIL_VERIFICATION_HOURS = 48
PASSWORD_RESET_MINUTES = 60
PASSWORD_RESETS_PER_HOUR = 20
TERMS_VERSION = "2026-01"
MARKETING_CONSENT_VERSION = "2026-01"
LOGIN_FAILURES_ALLOWED = 10  # per account
LOGIN_FAILURES_ALLOWED_PER_ADDRESS = env.integer("LOGIN_FAILURES_ALLOWED_PER_ADDRESS", 100)  # it can be a whole office
LOGIN_FAILURE_WINDOW_MINUTES = 15

# --- HTTP -------------------------------------------------------------------------------------

DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # bytes; a larger body is answered with 413
# Peers whose X-Forwarded-For is believed: the gateway on this machine.
TRUSTED_PROXIES = set(env.text("TRUSTED_PROXIES", "127.0.0.1,::1").split(","))
PUBLIC_BASE_URL = env.text("PUBLIC_BASE_URL", "http://127.0.0.1:8080").rstrip("/")

# --- Stripe -----------------------------------------------------------------------------------

STRIPE_API_KEY = env.text("STRIPE_API_KEY", hint="sk_…; for localstripe any key that begins with sk_")
STRIPE_API_BASE = env.text("STRIPE_API_BASE", "https://api.stripe.com").rstrip("/")
STRIPE_TIMEOUT_SECONDS = env.seconds("STRIPE_TIMEOUT_SECONDS", 20)
# Signs the events that Stripe sends; without it every one of them is refused.
STRIPE_WEBHOOK_SECRET = env.text("STRIPE_WEBHOOK_SECRET", "")
# localstripe does not know every one of Stripe's test cards by name.
STRIPE_TEST_CARD_ALIASES: dict[str, str] = (
    {} if STRIPE_API_BASE == "https://api.stripe.com" else {"pm_card_chargeDeclined": "pm_card_chargeCustomerFail"}
)

# Where the payments domain is on its way to the service of that name: legacy, shadow, ramp, new, retired. It decides
# which rows the jobs here work off.
PAYMENTS_PHASE = env.choice("PAYMENTS_PHASE", ("legacy", "shadow", "ramp", "new", "retired"))

# --- Mail -------------------------------------------------------------------------------------

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = env.text("EMAIL_HOST", hint="host name of the SMTP server")
EMAIL_PORT = env.integer("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = env.seconds("EMAIL_TIMEOUT_SECONDS", 10)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Banyan <no-reply@banyan.example>")
DIGEST_HOUR = 17  # UTC
# A Maildir that delivery reports come to; empty: none are read.
BOUNCE_MAILDIR = env.text("BOUNCE_MAILDIR", "")
MAIL_DOMAIN = env.text("MAIL_DOMAIN", "banyan.example")  # right side of every Message-ID

# --- Reports ----------------------------------------------------------------------------------

# Exports are written and served here: web and worker processes share the folder.
EXPORT_DIR = env.text("EXPORT_DIR", str(BASE_DIR.parent / ".banyan" / "exports"))
EXPORT_LIFETIME_HOURS = 7 * 24

# --- Celery -----------------------------------------------------------------------------------

CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", hint="amqp://user:password@host:port/celery")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # the worker waits for its broker for as long as it takes
CELERY_BROKER_CONNECTION_TIMEOUT = 2
# A request must not wait for a broker that is away: `deliver_pending` finds what was not queued.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TIMEZONE = "UTC"
# The schedule is kept in memory: every periodic task is idempotent, so no state file is needed.
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "reconcile-pending-payments": {
        "task": "payments.reconcile_pending_payments",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "renew-subscriptions": {
        "task": "payments.renew_subscriptions",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 300},
    },
    "create-payouts": {
        "task": "payments.create_payouts",
        "schedule": crontab(hour=2, minute=30),
        "options": {"expires": 3600},
    },
    "deliver-pending": {
        "task": "notifications.deliver_pending",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "retry-failed-deliveries": {
        "task": "notifications.retry_failed_deliveries",
        "schedule": crontab(minute="*/10"),
        "options": {"expires": 600},
    },
    # Once a day; the runs after it are for what the mail server refused.
    "send-daily-digest": {
        "task": "notifications.send_daily_digest",
        "schedule": crontab(hour=DIGEST_HOUR, minute="0,15,30,45"),
        "options": {"expires": 900},
    },
    "process-bounces": {
        "task": "notifications.process_bounces",
        "schedule": crontab(minute="*/2"),
        "options": {"expires": 120},
    },
    "roll-up-daily-revenue": {
        "task": "reporting.roll_up_daily_revenue",
        "schedule": crontab(minute=10),
        "options": {"expires": 3600},
    },
    "build-exports": {
        "task": "reporting.build_exports",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "purge-old-logs": {
        "task": "notifications.purge_old_logs",
        "schedule": crontab(hour=3, minute=30),
        "options": {"expires": 3600},
    },
    "purge-expired-tokens": {
        "task": "users.purge_expired_tokens",
        "schedule": crontab(minute=17),
        "options": {"expires": 3600},
    },
}

# --- Banyan: outbox, rollouts -----------------------------------------------------------------

BANYAN = {
    "SOURCE": "/monolith",
    # Where the gateway goes on with a request of a user whom the service serves.
    "DOMAINS": {"payments": {"ROLLOUT": "payments", "HAND_OVER": "@new_payments"}},
    # Without a file every rollout answers "legacy".
    "ROLLOUTS_FILE": env.text("BANYAN_ROLLOUTS_FILE", "") or None,
}

# --- Time, logging ----------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "monolith.logs.JsonFormatter"}},
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "json",
        }
    },
    "root": {"handlers": ["stdout"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        # Answers are logged once, by gunicorn's access log; Django's own 4xx lines repeat it.
        "django.request": {"level": "ERROR"},
        # One line per task when it ends is enough.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        # Stripe's client logs request paths and bodies at INFO.
        "stripe": {"level": "WARNING"},
    },
}

env.check()
