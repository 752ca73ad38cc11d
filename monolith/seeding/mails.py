"""The log of notifications, and what users want to get."""

from __future__ import annotations

from random import Random

from notifications.kinds import KINDS
from notifications.models import Category, Device, DeviceKind, NotificationLog, Preference, Status
from notifications.services.cleanup import KEEP
from users.models import Channel

from .clock import DAY, HOUR, Clock
from .people import People
from .sheets import NULL, Sheets
from .tokens import hexadecimal, uuid4, uuid7

_DIGEST_SECOND = 17 * HOUR
# What the worker has not come to yet.
_QUEUE = 10 * 60
_OFF = "switched off by the user"
_CHANNELS = [NULL, Channel.EMAIL.value, Channel.SMS.value, Channel.WEBHOOK.value]


class Mails:
    """Writes notifications as the events of the other parts happen."""

    def __init__(self, sheets: Sheets, people: People, clock: Clock, rng: Random) -> None:
        self.people, self.clock, self.rng = people, clock, rng
        # The job `purge_old_logs` deletes what is older.
        self.kept_since = clock.end - int(KEEP.total_seconds())
        self._kinds = {
            name: (kind.template, kind.category == Category.PAYMENTS and not kind.mandatory)
            for name, kind in KINDS.items()
        }
        self._digests: dict[tuple[int, int], str] = {}
        self.preferences = sheets.of(Preference, "id user_id category enabled channel digest updated_at")
        self.devices = sheets.of(Device, "id user_id kind address secret active created_at")
        self.log = sheets.of(
            NotificationLog,
            "id event_id event_type user_id object_id channel template template_version status attempts error"
            " retryable digest digest_id next_attempt_at created_at sent_at",
        )

    def choose(self, number: int, user_id: int) -> None:
        """What one user in ten prefers, and how one in twenty is reached otherwise."""
        people, signup = self.people, self.people.signup[number]
        when = self.clock.at(min(signup + 2 * HOUR, self.clock.end - 1))
        if number % 10 == 6:
            turn = number // 10
            off, digest = turn % 3 == 1, turn % 3 == 2
            people.mails_off[number], people.digest[number] = off, digest
            wanted = [(Category.PAYMENTS, not off, digest), (Category.ACCOUNT, True, False)]
            if turn % 4 == 0:
                wanted.append((Category.REPORTS, turn % 8 == 0, False))
            for place, (category, enabled, in_digest) in enumerate(wanted):
                self.preferences.add(
                    f"{self.preferences.next_id()}\t{user_id}\t{category.value}\t{'t' if enabled else 'f'}\t"
                    f"{_CHANNELS[(turn + place) % 4]}\t{'t' if in_digest else 'f'}\t{when}\n"
                )
        if number % 20 == 8:
            is_sms = number // 20 % 2 == 0
            # 555-01xx is for fiction.
            phone, url = f"+1202555{100 + number % 100:04}", f"https://hooks.example.com/banyan/{number}"
            self.devices.add(
                f"{self.devices.next_id()}\t{user_id}\t{(DeviceKind.SMS if is_sms else DeviceKind.WEBHOOK).value}\t"
                f"{phone if is_sms else url}\t{NULL if is_sms else 'whsec_' + hexadecimal(self.rng, 32)}\t"
                f"{'f' if number % 7 == 3 else 't'}\t{when}\n"
            )

    def write(self, moment: int, event: str, number: int, user_id: int, object_id: int) -> None:
        """The notification of an event."""
        if moment < self.kept_since:
            return
        people, end = self.people, self.clock.end
        template, optional = self._kinds[event]
        event_id, created = uuid7(self.rng, self.clock.start_millis + moment * 1000), self.clock.at(moment)
        log_id = self.log.next_id()
        start = f"{log_id}\t{event_id}\t{event}\t{user_id}\t{object_id}\t"
        if people.gone[number] < end:
            # Erased since: what was sent is all that is left to say.
            rest = f"1\tdelivered\t1\t\tf\tf\t{NULL}\t{created}\t{created}\t{created}"
        elif optional and people.mails_off[number]:
            rest = f"{NULL}\t{Status.SUPPRESSED.value}\t0\t{_OFF}\tf\tf\t{NULL}\t{created}\t{created}\t{NULL}"
        elif optional and people.digest[number]:
            rest = self._in_digest(moment, number, created)
        elif moment > end - _QUEUE:
            rest = f"{NULL}\t{Status.QUEUED.value}\t0\t\tf\tf\t{NULL}\t{created}\t{created}\t{NULL}"
        elif log_id % 64 == 5:
            again = moment > end - DAY
            error = "451 4.7.1 try again later" if again else "550 5.1.1 no such user"
            due = self.clock.at(moment + HOUR)
            rest = (
                f"{NULL}\t{Status.FAILED.value}\t{10 if again else 1}\t{error}\t{'t' if again else 'f'}\tf\t{NULL}\t"
                f"{due}\t{created}\t{NULL}"
            )
        elif log_id % 64 == 17:
            # Came from the notifications service with a sync: the monolith itself only mails.
            rest = f"{NULL}\t{Status.SKIPPED_LEGACY.value}\t0\t\tf\tf\t{NULL}\t{created}\t{created}\t{NULL}"
            channel = (Channel.SMS if log_id % 128 == 17 else Channel.WEBHOOK).value
            self.log.add(f"{start}{channel}\t{template}\t{rest}\n")
            return
        else:
            sent = self.clock.at(min(moment + 1, end - 1))
            rest = f"1\t{Status.DELIVERED.value}\t1\t\tf\tf\t{NULL}\t{created}\t{created}\t{sent}"
        self.log.add(f"{start}{Channel.EMAIL.value}\t{template}\t{rest}\n")

    def _in_digest(self, moment: int, number: int, created: str) -> str:
        """Kept for the daily summary at five o'clock, which has gone out unless it is still ahead."""
        day = moment // DAY + (moment % DAY >= _DIGEST_SECOND)
        at_five = day * DAY + _DIGEST_SECOND
        due = self.clock.at(at_five)
        if at_five >= self.clock.end:
            return f"{NULL}\t{Status.QUEUED.value}\t0\t\tf\tt\t{NULL}\t{due}\t{created}\t{NULL}"
        digest_id = self._digests.setdefault((number, day), uuid4(self.rng))
        return f"1\t{Status.DELIVERED.value}\t1\t\tf\tt\t{digest_id}\t{due}\t{created}\t{due}"
