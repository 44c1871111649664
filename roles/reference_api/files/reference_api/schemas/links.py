# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells readers of the API's description what can be done with a row that was just made."""

from __future__ import annotations

import typing as t


def created(operations: t.Iterable[str], **parameters: str) -> dict[int | str, dict[str, t.Any]]:
    """
    :param operations: the names of the functions that serve them.
    :param parameters: the fields of the answer that go into their paths.
    """
    expressions = {name: f"$response.body#/{field}" for name, field in parameters.items()}
    return {201: {"links": {name: {"operationId": name, "parameters": expressions} for name in operations}}}


def created_row(noun: str, more: t.Iterable[str] = ()) -> dict[int | str, dict[str, t.Any]]:
    """Of a row that belongs to a user."""
    operations = (f"get_{noun}", f"change_{noun}", f"delete_{noun}", *more)
    return created(operations, **{"user_id": "user_id", f"{noun}_id": "id"})
