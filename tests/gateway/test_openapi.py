"""The document that the gateway serves of itself lists exactly its addresses, and what it says of errors is so."""

from __future__ import annotations

from typing import Any

from gateway.errors import ERRORS
from gateway.openapi import document, shown


async def test_the_document_lists_exactly_the_addresses_of_the_table(served):
    told: dict[str, Any] = (await served.http().get("/openapi.json")).json()

    listed = {(method.upper(), path) for path, operations in told["paths"].items() for method in operations}
    assert listed == {(method, shown(route)) for method, route in served.door.handlers()}
    assert all(each["summary"] for operations in told["paths"].values() for each in operations.values())


async def test_every_status_of_the_table_of_errors_is_in_every_operation(served):
    told = document(served.door.handlers())

    for operations in told["paths"].values():
        for operation in operations.values():
            answers = set(operation["responses"])
            assert answers - {"200", "201"} == {str(row.status) for row in ERRORS.values()} | {"default"}
            assert len(answers & {"200", "201"}) == 1


async def test_the_document_is_behind_keys(served):
    assert (await served.http(None).get("/openapi.json")).status_code == 401
