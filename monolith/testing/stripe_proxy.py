"""A proxy in front of localstripe that can lose answers, as networks do."""

from __future__ import annotations

import http.client
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHARGES = "/v1/payment_intents"


class StripeProxy:
    """Passes requests on; `fault` says what happens to POSTs of one path: charges, unless `breaks` names another."""

    def __init__(self, port: int, upstream: int) -> None:
        self.fault: str | None = None
        self.faulty = CHARGES
        """The path that the fault is about, as a regular expression."""
        self.keys: list[str] = []
        """The Idempotency-Key of each request to that path."""
        self.charges: list[str] = []
        """The Idempotency-Key of each PaymentIntent asked for."""
        self.hold: threading.Event | None = None
        """When set, charges wait for it before they are passed on."""
        self.arrived = threading.Semaphore(0)
        """Released once per charge that arrives."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                charge = self.command == "POST" and self.path == CHARGES
                faulty = self.command == "POST" and re.fullmatch(proxy.faulty, self.path)
                if faulty:
                    proxy.keys.append(self.headers["Idempotency-Key"])
                if charge:
                    proxy.charges.append(self.headers["Idempotency-Key"])
                    proxy.arrived.release()
                    if proxy.hold is not None:
                        proxy.hold.wait(10)
                if faulty and proxy.fault == "refuse":
                    self.close_connection = True
                    return
                status, answer = self.forward(body)
                if faulty and proxy.fault == "lose":
                    self.close_connection = True
                    return
                if faulty and proxy.fault == "error":
                    status, answer = 500, b'{"error": {"type": "api_error"}}'
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def forward(self, body: bytes) -> tuple[int, bytes]:
                connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=10)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}}
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                answer = response.status, response.read()
                connection.close()
                return answer

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def breaks(self, path: str, fault: str) -> None:
        """Let POSTs to a path go wrong from now on."""
        self.faulty, self.fault = path, fault
        self.keys.clear()

    def reset(self) -> None:
        """Work properly again, and forget what came."""
        self.fault = None
        self.faulty = CHARGES
        self.keys.clear()
        self.hold = None
        self.charges.clear()
        self.arrived = threading.Semaphore(0)

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
