"""What each app can recommend."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import select

from assistant.recommend.catalogue import Catalogue
from assistant.store import schema
from assistant.store.database import Database


class Catalogues:
    """One catalogue for each app; `recommend.catalogue.CatalogueSource`. They hold no personal data."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, Catalogue] = {}

    async def put(self, app: str, catalogue: Catalogue) -> None:
        """Replace the app's catalogue."""
        values = {"body": msgspec.json.encode(catalogue), "updated_at": self._clock()}
        async with self._database.write() as connection:
            await connection.execute(self._database.upsert(schema.catalogues, ["app"], app=app, **values))
        self._known[app] = catalogue

    async def get(self, app: str) -> Catalogue:
        """The app's catalogue; an empty one where it has uploaded none."""
        if app not in self._known:
            query = select(schema.catalogues.c.body).where(schema.catalogues.c.app == app)
            async with self._database.read() as connection:
                body = await connection.scalar(query)
            self._known[app] = (
                msgspec.json.decode(body, type=Catalogue) if body else Catalogue(version="", items=())
            )
        return self._known[app]
