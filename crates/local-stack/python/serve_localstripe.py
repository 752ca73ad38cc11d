"""Serves localstripe on the loopback interface, with its state in a file of this stack.

Its own command listens on every interface and keeps its state in one file under /tmp for all stacks, written anew
with every change.
"""

import argparse
import asyncio
import os
import pickle
import tempfile

from aiohttp import web
from localstripe import resources, server

SAVE_EVERY_SECONDS = 1.0


class State:
    """The store's file: written whole, or not at all."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.changed = False

    def load(self) -> None:
        """Reads what an earlier run left."""
        try:
            with open(self.path, "rb") as file:
                kept = pickle.load(file)
        except FileNotFoundError:
            return
        dict.update(resources.store, kept)

    def note_change(self, *_: object) -> None:
        """Marks the store as changed; stands in for the store's own writing."""
        self.changed = True

    def save(self) -> None:
        """Writes the store if it changed."""
        if not self.changed:
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


def main() -> None:
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", required=True, help="file that keeps the objects between runs")
    options = parser.parse_args()
    state = State(options.state)
    resources.Store.dump_to_disk = state.note_change
    state.load()
    server.app.cleanup_ctx.append(state.keep_saving)
    print(f"localstripe listens on 127.0.0.1:{options.port}", flush=True)
    web.run_app(server.app, host="127.0.0.1", port=options.port, access_log=None, print=None)


if __name__ == "__main__":
    main()
