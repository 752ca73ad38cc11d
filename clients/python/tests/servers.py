"""The small project under the real gunicorn and the real Celery."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from django.db import connection

ROOT = Path(__file__).resolve().parents[1]


def environment(**more):
    """The environment of a served process: no tracing but what the test asks for, the tests' database."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TESTS_"))}
    database = {"TESTS_DATABASE": connection.settings_dict["NAME"], "PYTHONPATH": str(ROOT)}
    return inherited | database | {"OTEL_BSP_SCHEDULE_DELAY": "50"} | more


class Server:
    """A process, ready when a line of its log says so, and ended with the `with` block."""

    def __init__(self, command, ready, **env):
        self.log = []
        self._lines = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            self.ready = self.wait_for_line(ready)
        except BaseException:
            self.__exit__()
            raise

    def _read(self):
        for line in self._process.stdout:
            with self._lines:
                self.log.append(line)
                self._lines.notify_all()

    def wait_for_line(self, pattern, seconds=30):
        """The match of the first line of the log that fits."""

        def first():
            return next((match for line in self.log if (match := re.search(pattern, line))), None)

        with self._lines:
            match = self._lines.wait_for(first, seconds)
            assert match, f"{pattern} never came:\n{''.join(self.log)}"
            return match

    def stop(self, seconds=15):
        """Ask it to end and wait until it has."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._reader.join(10)
            self._process.stdout.close()


class Gunicorn(Server):
    """`gunicorn tests.wsgi` on a free port."""

    def __init__(self, *options, **env):
        command = ["gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", *options, "tests.wsgi"]
        super().__init__(command, r"Listening at: (http://127\.0\.0\.1:\d+)", **env)
        self.url = self.ready[1]


class Worker(Server):
    """A Celery worker with processes of its own, over a broker in a folder."""

    def __init__(self, *options, **env):
        command = ["celery", "-A", "tests.project", "worker", "-c", "1", "-l", "INFO", "--without-mingle", *options]
        super().__init__(command, r" ready\.", **env)
