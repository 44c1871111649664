# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One connection to one database, made when it is needed and again whenever it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import typing as t

import psycopg

from ..servers import Connection, cut_off, leader_options, one_line, until
from ..settings import Settings
from ..shard_map import Address

log = logging.getLogger(__name__)

T = t.TypeVar("T")

#: Seconds for a transaction. The server ends one whose client has fallen silent after as long, locks included.
PATIENCE = 10

# Set for the transaction alone, so that a pooler in transaction mode may sit between.
_LIMITS = f"""
    SET LOCAL statement_timeout = '{PATIENCE}s';
    SET LOCAL idle_in_transaction_session_timeout = '{PATIENCE}s'
"""


class Unavailable(Exception):
    """The database cannot do it now; trying again later is right. The text is a clause."""


class Refused(Exception):
    """The database will never take these values. The text is a clause."""


class _Broken(Unavailable):
    """The connection was lost."""


class Database:
    """
    :param name: for people, such as ``shard 2``.
    :param members: of the cluster that has it.
    """

    def __init__(self, name: str, members: t.Sequence[Address], settings: Settings) -> None:
        self.name = name
        self._options = {**leader_options(members, settings), "application_name": "reference_api worker"}
        self._connection: Connection = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def transaction(self, work: t.Callable[[Connection], t.Awaitable[T]]) -> T:
        """Do some work in a transaction of its own. It may be done twice, so it must be idempotent.

        :raises Unavailable: for a server that is lost, and for every fault that is not of the values.
        :raises Refused: the values are at fault.
        """
        async with self._turn:
            if self._closed:
                raise Unavailable(f"{self.name} is in the map no longer")
            if self._connection is not None:
                # It may have been closed meanwhile: a fresh one tells.
                with contextlib.suppress(_Broken):
                    return await self._attempt(work)
            return await self._attempt(work)

    async def check(self) -> None:
        """
        :raises Unavailable: it cannot be used.
        """

        async def select(connection: Connection) -> None:
            await connection.execute("SELECT 1")

        await self.transaction(select)

    async def close(self) -> None:
        """Once the transaction has ended that is under way."""
        async with self._turn:
            self._closed = True
            await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _attempt(self, work: t.Callable[[Connection], t.Awaitable[T]]) -> T:
        try:
            if self._connection is None:
                self._connection = await psycopg.AsyncConnection.connect(**self._options)
            connection = self._connection
            with cut_off(connection, until(asyncio.get_running_loop().time() + PATIENCE)):
                async with connection.transaction():
                    await connection.execute(_LIMITS)
                    return await work(connection)
        except (psycopg.DataError, psycopg.IntegrityError, UnicodeError) as error:
            raise Refused(f"{self.name} refuses it: {_without_values(error)}") from error
        except psycopg.Error as error:
            if self._connection is None or not self._connection.closed:
                raise Unavailable(f"{self.name}: {one_line(error)}") from error
            await self._disconnect()
            raise _Broken(f"{self.name} is lost: {one_line(error)}") from error


def _without_values(error: Exception) -> str:
    """What a server says in its details quotes what users wrote, which is nothing for a log."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else type(error).__name__
    return primary or one_line(error)
