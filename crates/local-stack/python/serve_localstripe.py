"""Serves localstripe on the loopback interface, with its state in a file of this stack.

Its own command listens on every interface and keeps its state in one file under /tmp for all stacks, written anew
with every change. Its lists look through all objects of every kind, and those of PaymentIntents know no filter: both would
make a run with thousands of payments one of waiting.
"""

import argparse
import asyncio
import os
import pickle
import tempfile
from collections import defaultdict

from aiohttp import web
from localstripe import resources, server

SAVE_EVERY_SECONDS = 1.0


class State:
    """The store's file: written whole, or not at all."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.changed = False

    def load(self) -> None:
        """Reads what an earlier run left."""
        if self.path is None:
            return
        try:
            with open(self.path, "rb") as file:
                kept = pickle.load(file)
        except FileNotFoundError:
            return
        for key, value in kept.items():
            resources.store[key] = value

    def note_change(self, *_: object) -> None:
        """Marks the store as changed; stands in for the store's own writing."""
        self.changed = True

    def save(self) -> None:
        """Writes the store if it changed."""
        if not self.changed or self.path is None:
            return
        self.changed = False
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(self.path), delete=False) as file:
            pickle.dump(dict(resources.store), file, protocol=pickle.HIGHEST_PROTOCOL)
        os.replace(file.name, self.path)

    async def keep_saving(self, _: web.Application):
        """Saves while the server runs, and once more at its end."""

        async def loop() -> None:
            while True:
                await asyncio.sleep(SAVE_EVERY_SECONDS)
                self.save()

        task = asyncio.create_task(loop())
        yield
        task.cancel()
        self.save()


class Kinds:
    """The store's objects by their kind, in the order in which they were made."""

    def __init__(self) -> None:
        self.objects: defaultdict[str, dict] = defaultdict(dict)

    def attach(self, store: type) -> None:
        """Learns of every change of a store."""
        put, remove, clear = store.__setitem__, store.__delitem__, store.clear

        def note_put(this, key, value) -> None:
            put(this, key, value)
            self.objects[key.partition(":")[0]][key] = value

        def note_removal(this, key) -> None:
            remove(this, key)
            del self.objects[key.partition(":")[0]][key]

        def note_clearing(this) -> None:
            clear(this)
            self.objects.clear()

        store.__setitem__, store.__delitem__, store.clear = note_put, note_removal, note_clearing

    def list_all(self, cls, url, limit=None, starting_after=None, **kwargs):
        """Lists the objects of a class; stands in for the search through the whole store."""
        if kwargs:
            raise resources.UserError(400, "Unexpected " + ", ".join(kwargs))
        found = resources.List(url, limit=limit, starting_after=starting_after)
        found._list = list(self.objects[cls.object].values())
        return found


BOUNDS = {
    "gt": lambda at, bound: at > bound,
    "gte": lambda at, bound: at >= bound,
    "lt": lambda at, bound: at < bound,
    "lte": lambda at, bound: at <= bound,
}


def list_payment_intents(cls, url, customer=None, created=None, limit=None, starting_after=None):
    """Lists PaymentIntents by customer and time, newest first: https://docs.stripe.com/api/payment_intents/list"""
    found = super(resources.PaymentIntent, cls)._api_list_all(url, limit=limit, starting_after=starting_after)
    bounds = {bound: int(at) for bound, at in (created or {}).items()}
    found._list = [
        intent
        for intent in reversed(found._list)
        if customer in (None, intent.customer)
        and all(BOUNDS[bound](intent.created, at) for bound, at in bounds.items())
    ]
    return found


def main() -> None:
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", help="file that keeps the objects between runs; without it they are gone with the process")
    options = parser.parse_args()
    state = State(options.state)
    resources.Store.dump_to_disk = state.note_change
    kinds = Kinds()
    kinds.attach(resources.Store)
    resources.StripeObject._api_list_all = classmethod(lambda cls, *args, **filters: kinds.list_all(cls, *args, **filters))
    resources.PaymentIntent._api_list_all = classmethod(list_payment_intents)
    state.load()
    server.app.cleanup_ctx.append(state.keep_saving)
    print(f"localstripe listens on 127.0.0.1:{options.port}", flush=True)
    web.run_app(server.app, host="127.0.0.1", port=options.port, access_log=None, print=None)


if __name__ == "__main__":
    main()
