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
        """The app's catalogue; an empty one where it has none."""
        if app not in self._known:
            query = select(schema.catalogues.c.body).where(schema.catalogues.c.app == app)
            async with self._database.read() as connection:
                body = await connection.scalar(query)
            if not body:  # not kept: another process may load one at any time
                return Catalogue(version="", items=())
            self._known[app] = msgspec.json.decode(body, type=Catalogue)
        return self._known[app]

    async def missing(self) -> list[str]:
        """The names of the apps that have no catalogue, sorted."""
        apps, catalogues = schema.apps, schema.catalogues
        query = select(apps.c.name).where(apps.c.id.not_in(select(catalogues.c.app))).order_by(apps.c.name)
        async with self._database.read() as connection:
            return list((await connection.scalars(query)).all())
