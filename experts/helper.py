"""Asks a language model to write a formula as typed JSON, for experts that compute but do not read English well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from experts.base import Declined, Expert, ExpertError, Request, text


@dataclass(slots=True)
class Bill:
    """What a request has cost so far: nano-dollars of others (`None`: one of them did not say), own CPU seconds."""

    cost: int | None = 0
    cpu_seconds: float = 0.0

    def add(self, cost: int | None) -> None:
        """Adds what another expert reported."""
        self.cost = None if self.cost is None or cost is None else self.cost + cost


def plain_text(request: Request) -> bool:
    """Whether one answer in plain text is what the request asks for."""
    shape = request.options.get("response_format")
    kind = shape.get("type", "text") if isinstance(shape, Mapping) else "text"
    return kind == "text" and request.options.get("n") in (None, 1) and not request.options.get("tools")


async def formulate(
    helper: Expert, request: Request, examples: tuple[tuple[str, str], ...], schema: Mapping[str, Any], bill: Bill
) -> dict[str, Any]:
    """The helper's JSON object for the prompt of `request`, shown `examples` (first the instructions, then pairs of
    prompt and JSON). Raises Declined if the helper wrote no such object; adds its cost to `bill`."""
    (role, instructions), *pairs = examples
    messages = [{"role": role, "content": instructions}]
    for prompt, formula in pairs:
        messages += [{"role": "user", "content": prompt}, {"role": "assistant", "content": formula}]
    messages.append({"role": "user", "content": request.prompt})
    shape = {"type": "json_schema", "json_schema": {"name": "formula", "strict": True, "schema": schema}}
    options = {"temperature": 0, "max_tokens": 300, "response_format": shape}
    written = await _ask(helper, replace(request, messages=tuple(messages), options=options, model=helper.name), bill)
    try:
        found = json.loads(written)
    except ValueError as error:
        raise Declined("the helper wrote no formula") from error
    if not isinstance(found, dict):
        raise Declined("the helper wrote no formula")
    return found


async def _ask(helper: Expert, request: Request, bill: Bill) -> str:
    parts, cost = [], None
    try:
        async for chunk in helper.stream(request):
            parts.append(text(chunk.delta.get("content")))
            cost = chunk.cost if chunk.cost is not None else cost
    except ExpertError as error:
        bill.add(error.about.get("cost"))
        raise
    bill.add(cost)
    return "".join(parts)
