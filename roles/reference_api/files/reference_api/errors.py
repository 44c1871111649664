# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can go wrong, and the one shape in which every error leaves the server::

    {"error": {"code": "shard_unavailable", "message": "Shard 2 ...", "shard": "2", "request_id": "..."}}

``code`` is for programs and stays the same, ``message`` is for people. Pure, apart from the handlers at the end.
"""

from __future__ import annotations

import typing as t
import uuid
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

#: Seconds after which a caller may try again: the time in which a server that came back is noticed, rounded up.
RETRY_AFTER = 1
#: The last millisecond that Python has a date for.
_LAST = 253402300799999


class ApiError(Exception):
    """Base of the errors that a caller is meant to read.

    :param extra: further fields of the error's body.
    """

    status = 500
    code = "internal_error"

    def __init__(self, message: str, **extra: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(RETRY_AFTER)} if self.status == 503 else {}


class InvalidRequest(ApiError):
    """A request that can never be right; ``where`` is such as ``body.name`` or ``query.cursor``."""

    status = 422
    code = "invalid_request"

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} {reason}.", details=[{"where": where, "message": reason}])


class NotFound(ApiError):
    status = 404
    code = "not_found"

    def __init__(self, what: str, row_id: uuid.UUID) -> None:
        super().__init__(f"There is no {what} {row_id}.")


class NoMap(ApiError):
    """The process has not read a shard map yet."""

    status = 503
    code = "no_shard_map"

    def __init__(self) -> None:
        super().__init__("There is no shard map yet.")


class ShardUnavailable(ApiError):
    """A shard's database could not do the work in time; nothing was changed, so the caller may simply try again."""

    status = 503
    code = "shard_unavailable"

    def __init__(self, shard: str, reason: str) -> None:
        super().__init__(f"Shard {shard} is unavailable: {reason}.", shard=shard)


class IdOutOfRange(ApiError):
    """A shard has no partition for the time of a new id; nothing was changed. Another server may have a better clock.

    :param made: milliseconds since 1970, when the id was made by this server's clock.
    :param ahead: seconds by which that clock is ahead of the shard's primary's, or behind if negative.
    """

    status = 503
    code = "id_out_of_range"

    def __init__(self, shard: str, made: int, ahead: float) -> None:
        days = round(abs(ahead) / 86400)
        #: ``clock`` of this server, or ``partition`` that was not made in time.
        self.cause = "clock" if days else "partition"
        why = "which has no partition yet"
        if days:
            why = f"by this server's clock, which is {days} days {'ahead of' if ahead > 0 else 'behind'} the database's"
        super().__init__(f"Shard {shard} takes no row of {_day(made)}, {why}.", shard=shard)


class OutcomeUnknown(ApiError):
    """The connection was lost during a write: it may have happened or not, and it is not known yet which."""

    status = 503
    code = "outcome_unknown"

    def __init__(self, shard: str, row_id: uuid.UUID) -> None:
        super().__init__(
            f"The outcome is unknown: shard {shard} was lost during the write."
            f" Read {row_id} to learn whether it happened.",
            shard=shard,
            id=str(row_id),
        )


def body(code: str, message: str, request_id: str, **extra: t.Any) -> dict[str, t.Any]:
    return {"error": {"code": code, "message": message, "request_id": request_id, **extra}}


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(min(milliseconds, _LAST) / 1000, UTC).date().isoformat()


def install(app: FastAPI) -> None:
    """Give every error that FastAPI, Starlette or a router raises its one shape."""

    def answer(
        request: Request,
        status: int,
        code: str,
        message: str,
        headers: t.Mapping[str, str] | None = None,
        **extra: t.Any,
    ) -> JSONResponse:
        content = body(code, message, request.state.exchange.request_id, **extra)
        return JSONResponse(content, status, headers=dict(headers or {}))

    async def on_api_error(request: Request, error: ApiError) -> JSONResponse:
        if isinstance(error, IdOutOfRange):
            request.app.state.metrics.ids_refused.labels(error.extra["shard"], error.cause).inc()
            # A wrong clock is no fault of the shard.
            counts = error.cause == "partition"
        else:
            counts = error.status == 503
        if counts and "shard" in error.extra:
            # More servers would make it worse: growth of the pool holds while there are too many of them.
            request.app.state.metrics.shard_errors.labels(error.extra["shard"], error.code).inc()
        return answer(request, error.status, error.code, error.message, error.headers, **error.extra)

    async def on_http_error(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # FastAPI cannot read the body, because it is no UTF-8 or nested too deeply.
            return await on_api_error(request, InvalidRequest("body", "cannot be read"))
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        return answer(request, error.status_code, code, str(error.detail), error.headers)

    async def on_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        # The value is not repeated: it may be secret, huge or impossible to encode.
        details = [{"where": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        message = "; ".join(f"{detail['where']}: {detail['message']}" for detail in details) + "."
        return answer(request, 422, InvalidRequest.code, message, details=details)

    app.exception_handler(ApiError)(on_api_error)
    app.exception_handler(HTTPException)(on_http_error)
    app.exception_handler(RequestValidationError)(on_validation_error)
