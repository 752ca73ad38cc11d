"""A client of the API, by way of every middleware."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.http import HttpResponse
from django.test import Client

PASSWORD = "correct-horse-battery"


class Api:
    """Sends JSON, with the token of whoever signed up or logged in."""

    def __init__(self, token: str | None = None) -> None:
        self.client = Client(raise_request_exception=False)
        self.token = token
        self.user: dict[str, Any] = {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """One request."""
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if not isinstance(body, str | bytes):
            body = json.dumps(body)
        return self.client.generic(method, path, body, content_type="application/json", headers=headers)

    def get(self, path: str) -> HttpResponse:
        """GET."""
        return self.client.get(path, headers={"Authorization": f"Bearer {self.token}"} if self.token else {})

    def post(self, path: str, body: Any, **headers: str) -> HttpResponse:
        """POST."""
        return self.send("POST", path, body, **headers)

    def charge(
        self, body: dict[str, Any] | str | None = None, *, key: str | None = None, **fields: Any
    ) -> HttpResponse:
        """POST /api/payments/charge; 10 dollars on a good card unless told otherwise."""
        if body is None:
            body = {"amount": "10.00", "currency": "USD", "paymentMethodId": "pm_card_visa", **fields}
        return self.post("/api/payments/charge", body, **{"Idempotency-Key": key or str(uuid.uuid4())})


def sign_up(email: str = "ada@example.com", **fields: Any) -> Api:
    """A new user's client."""
    api = Api()
    answer = api.post(
        "/api/users/signup", {"email": email, "password": PASSWORD, "displayName": "Ada Lovelace", **fields}
    )
    assert answer.status_code == 201, answer.content
    api.user, api.token = answer.json()["user"], answer.json()["accessToken"]
    return api
