"""What a Django code base needs to take part in domain events, rollouts and traces.

    from banyan import is_enabled, publish_event

`banyan.telemetry.setup("my-app")` turns tracing on; `"banyan.django"` in `INSTALLED_APPS` brings the outbox table.
"""

from banyan.cohort import in_cohort, murmur2
from banyan.errors import InvalidEvent, OutboxMissing, OutsideTransaction
from banyan.outbox import publish_event
from banyan.rollouts import is_enabled

__all__ = [
    "InvalidEvent",
    "OutboxMissing",
    "OutsideTransaction",
    "in_cohort",
    "is_enabled",
    "murmur2",
    "publish_event",
]
