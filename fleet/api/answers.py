"""What is answered where something cannot be done: `{"error": "<word>", "text": "<one sentence for people>"}`.

A route raises `Declined`; everything else that FastAPI and Starlette would answer in words of their own (a body that
does not fit, no such path, a fault of ours) is put into the same form by `answer_plainly`.
"""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from fleet.words.fields import misfit_words

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """Why something cannot be done."""

    error: str  # one word, for programs
    text: str  # one sentence, for people


class Declined(Exception):
    """This request gets `status`, with the error's word and one sentence; `more` are further fields of the answer."""

    def __init__(
        self,
        status: int,
        error: str,
        text: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {error}: {text}")
        self.status = status
        self.error = error
        self.text = text
        self.headers = headers
        self.more = more or {}


_SAYS = {
    400: "the request is not HTTP as it should be",
    401: "nobody is signed in, or not any more",
    403: "this user may not, or the request does not come from our own page",
    404: "there is no such thing",
    408: "the request's body did not come in time",
    409: "it is refused as things are",
    412: "somebody else has changed it since it was read",
    413: "the request is too long",
    415: "the body is not JSON",
    422: "the request is not what this route takes; the text names the field",
    428: "`If-Match` is missing: read it first, and say which version is to be changed",
    429: "too often; `Retry-After` says for how many seconds to wait",
    503: "it cannot be done at the moment",
}


def described(says: str) -> dict[str, Any]:
    """A problem among the `responses` of a route. A `model` would be a validator of its own in each place, five hundred
    in all, for nothing but this reference; the description's own route brings the one that it refers to.
    """
    return {"description": says, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: what it answers besides its success. Four of them go with every route."""
    return {status: described(_SAYS[status]) for status in (401, 403, 422, 429, *statuses)}


def answer_plainly(app: FastAPI) -> None:
    """Have `app` answer every error in the one form."""
    app.add_exception_handler(Declined, _declined)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


def problem(
    status: int, error: str, text: str, headers: Mapping[str, str] | None = None, **more: object
) -> JSONResponse:
    """An answer in the one form."""
    return JSONResponse({"error": error, "text": text, **more}, status, headers)


async def _declined(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Declined)
    return problem(error.status, error.error, error.text, error.headers, **error.more)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Names the field, and never repeats what was sent: it may be a password."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = () if first["type"] == "json_invalid" else first["loc"][1:]  # there it is the character, for programs
    return problem(422, "invalid", f"The request's {misfit_words(first, place, 'body')}.")


_WORDS = {404: ("not_found", "There is nothing here."), 405: ("method", "This path does not take that method.")}


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    word, text = _WORDS.get(error.status_code, ("http", f"{error.detail}."))
    return problem(error.status_code, word, text, error.headers)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "fault", "This failed; the log of the web process says why.")
