# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The materialized views that a user wants; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.names import fault_of_length

WHEN_POSSIBLE, ALWAYS, NEVER = "when_possible", "always", "never"
CONCURRENTLY = (WHEN_POSSIBLE, ALWAYS, NEVER)
"""Whether a refresh lets readers go on."""

STATES = ("present", "refreshed", "absent")

LONGEST_AGE = 10 * 366 * 24 * 60
"""Minutes; what is longer is a typing error."""

_RESERVED = "scaleout_"
"""How the names begin that a task gives to what it builds, and to the table of refreshes."""


@dataclasses.dataclass(frozen=True)
class Desired:
    """A materialized view as the user wants it.

    :param name: as PostgreSQL stores it, without quotes.
    :param query: the SELECT; None for whatever a view that exists has.
    :param unique_index: columns of a unique index; None to leave the indexes as they are.
    :param owner: None for whoever owns it, or for the user of the task where it is new.
    :param populate: whether a new view has its rows at once.
    :param max_age: minutes since the last refresh from which on it is refreshed; None for now.
    """

    name: str
    schema: str = "public"
    state: str = "present"
    query: str | None = None
    unique_index: tuple[str, ...] | None = None
    owner: str | None = None
    populate: bool = True
    max_age: int | None = None
    concurrently: str = WHEN_POSSIBLE

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any]) -> Desired:
        """A desired view, from options, where what is not given has the default.

        :raises InvalidInput: the options can never describe a view.
        """
        given = {key: value for key, value in options.items() if value is not None}
        if "unique_index" in given:
            given["unique_index"] = tuple(given["unique_index"])
        if "query" in given:
            given["query"] = given["query"].strip().rstrip(";").strip()
        desired = cls(**given)
        desired._check()
        return desired

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.schema}.{self.name}"

    def _check(self) -> None:
        for option, value in (("name", self.name), ("schema", self.schema), ("owner", self.owner)):
            _check_name(option, value)
        if self.name.startswith(_RESERVED):
            raise InvalidInput("name", self.name, f"begins with {_RESERVED}, which the names of the module's own have")
        if self.state == "absent":
            for option in ("query", "unique_index", "owner", "max_age"):
                if getattr(self, option) is not None:
                    raise InvalidInput(option, getattr(self, option), f"does not go with state: absent of {self.label}")
            return
        if self.query is not None and not self.query:
            raise InvalidInput("query", self.query, f"is empty; {self.label} needs a SELECT")
        if self.state == "present" and self.query is None:
            raise InvalidInput("query", None, f"is required for state: present of {self.label}")
        if self.state == "refreshed" and not self.populate:
            raise InvalidInput("populate", False, f"does not go with state: refreshed of {self.label}")
        self._check_refresh()
        self._check_index()

    def _check_refresh(self) -> None:
        if self.max_age is None:
            return
        if self.state != "refreshed":
            raise InvalidInput("max_age", self.max_age, f"does nothing without state: refreshed of {self.label}")
        if not 1 <= self.max_age <= LONGEST_AGE:
            raise InvalidInput("max_age", self.max_age, f"is not a number of minutes from 1 to {LONGEST_AGE}")

    def _check_index(self) -> None:
        if self.unique_index is None:
            return
        if not self.unique_index:
            raise InvalidInput("unique_index", [], f"names no column of {self.label}")
        for column in self.unique_index:
            _check_name("unique_index", column)
            if self.unique_index.count(column) > 1:
                raise InvalidInput("unique_index", column, f"is named twice for {self.label}")


def _check_name(option: str, name: str | None) -> None:
    """Refuse what PostgreSQL would not take as a name, or would cut off.

    :raises InvalidInput: naming the option.
    """
    if name is None:
        return
    fault = "is empty" if not name else "has a zero byte" if "\0" in name else fault_of_length(name)
    if fault:
        raise InvalidInput(option, name, fault)


def parse_views(options: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Desired, ...]:
    """The desired views, from the options of one or more views.

    :raises InvalidInput: a view that can never exist, or one that is named twice.
    """
    views = tuple(Desired.of(view) for view in options)
    seen = set()
    for view in views:
        if view.label in seen:
            raise InvalidInput("views", view.label, "is named twice")
        seen.add(view.label)
    return views
