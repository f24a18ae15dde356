"""Where bqemulator's HTTP differs from BigQuery's documented one in a way that hides faults of a client.

* `jobs.query` ignores `defaultDataset` (`jobs.insert` honours it).
* `jobs.query` answers 200 with `errors` where BigQuery answers a 4xx: a client would read it as "no rows".
* `tabledata.insertAll` takes unknown fields and rows without a REQUIRED one; BigQuery refuses the request.
"""

import json
import re

from bqemulator import server
from bqemulator.sql.rewriter.default_dataset import qualify_unqualified_tables

QUERY = re.compile(r"/bigquery/v2/projects/([^/]+)/queries$")
INSERT = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)/insertAll$")
STATUS = {"notFound": 404, "duplicate": 409, "accessDenied": 403}


def correct() -> None:
    create_app = server.create_app

    def create(context, *args, **kwargs):
        app = create_app(context, *args, **kwargs)
        app.add_middleware(Corrections, context=context)
        return app

    server.create_app = create


class Corrections:
    """ASGI middleware: the request before the emulator, the answer after it."""

    def __init__(self, app, context):
        self.app = app
        self.context = context

    async def __call__(self, scope, receive, send):
        path = scope.get("path", "")
        query, insert = QUERY.search(path), INSERT.search(path)
        if scope["type"] != "http" or scope["method"] != "POST" or not (query or insert):
            return await self.app(scope, receive, send)
        body = await read(receive)
        if query:
            return await self.query(query[1], body, scope, send)
        refused = self.refuse(*insert.groups(), body)
        if refused is not None:
            return await answer(send, 200, refused)
        return await self.app(scope, replay(body), send)

    async def query(self, project, body, scope, send):
        request = json.loads(body)
        dataset = request.get("defaultDataset") or {}
        # The emulator resolves INFORMATION_SCHEMA by itself, and stumbles over the qualified form.
        if dataset.get("datasetId") and "INFORMATION_SCHEMA" not in request["query"].upper():
            request["query"] = qualify_unqualified_tables(
                request["query"],
                default_project=dataset.get("projectId") or project,
                default_dataset=dataset["datasetId"],
            )
        body = json.dumps(request).encode()
        headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        status, response_headers, content = await capture(self.app, {**scope, "headers": headers}, body)
        errors = json.loads(content).get("errors") if status == 200 else None
        if not errors:
            await send({"type": "http.response.start", "status": status, "headers": response_headers})
            await send({"type": "http.response.body", "body": content})
            return
        code = STATUS.get(errors[0].get("reason"), 400)
        error = {"code": code, "message": errors[0].get("message"), "errors": errors}
        await answer(send, code, {"error": error})

    def refuse(self, project, dataset, table, body):
        """insertErrors of a request, or None when every row fits the table's columns."""
        request = json.loads(body)
        meta = self.context.catalog.get_table(project, dataset, table)
        if meta is None or request.get("ignoreUnknownValues") or request.get("skipInvalidRows"):
            return None
        names = {field.name for field in meta.schema_.fields}
        required = [field.name for field in meta.schema_.fields if field.mode == "REQUIRED"]
        errors = []
        for index, row in enumerate(request.get("rows", [])):
            found = [error(name, "no such field.") for name in row["json"] if name not in names]
            found += [error(name, "Missing required field.") for name in required if row["json"].get(name) is None]
            if found:
                errors.append({"index": index, "errors": found})
        if not errors:
            return None
        return {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": errors}


def error(name, message):
    return {"reason": "invalid", "location": name, "debugInfo": "", "message": f"{message[:-1]}: {name}."}


async def read(receive):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def replay(body):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def capture(app, scope, body):
    status, headers, content = 500, [], b""

    async def send(message):
        nonlocal status, headers, content
        if message["type"] == "http.response.start":
            status, headers = message["status"], message["headers"]
        else:
            content += message.get("body", b"")

    await app(scope, replay(body), send)
    return status, headers, content


async def answer(send, status, value):
    content = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
