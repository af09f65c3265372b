"""What HTTP answers where it can't do as it was asked: a problem, in the same form everywhere."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from service.access.origin_check import problem
from service.errors import ServiceError

_CODES = {
    403: "unauthorized",
    404: "not_found",
    405: "not_allowed",
    408: "idle",
    503: "overloaded",
}


def answer_refusals(app: FastAPI) -> None:
    """Have an application answer with a problem whatever goes wrong on purpose."""

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "bad_message")
        asked = f"{request.method} {request.url.path:.200}"
        said = f"{asked} came; {error.detail}: /openapi.json has what there is"
        return problem(error.status_code, code, said)

    @app.exception_handler(RequestValidationError)
    async def refuse_form(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            position, reason = first["loc"][-1], first["ctx"]["error"]
            said = f"body: no JSON came, at character {position}: {reason}"
        else:
            where = ".".join(str(part) for part in first["loc"])
            came = "" if first["type"] == "missing" else f" came as {first['input']!r:.100}"
            said = f"{where}{came}: {first['msg']}"
        return problem(422, "bad_message", said)

    @app.exception_handler(ServiceError)
    async def fail(_: Request, error: ServiceError) -> JSONResponse:
        return problem(error.http_status, error.code, error.message)
