"""An expert on an SGLang server: as any OpenAI-compatible one, with adapters, and answers that can be continued."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson

from experts.base import SetupError
from experts.continuation import Manner
from experts.http1_exchange import Deadlines, HTTPError
from experts.openai_http import OpenAIHTTP

LOOK = Deadlines(connect=2.0, first=2.0, idle=2.0, total=4.0)


@dataclass(slots=True, eq=False)
class SGLangExpert(OpenAIHTTP):
    """`adapter` is a LoRA adapter that the server has loaded under that name, on top of `model`.

    SGLang answers a request for any other name, an adapter's bare one included, with the base model and says
    nothing, so the names are checked at start if the server is up."""

    adapter: str | None = field(default=None, kw_only=True)
    continues: Manner = field(default="sglang", kw_only=True)

    def __post_init__(self) -> None:
        OpenAIHTTP.__post_init__(self)
        if self.adapter is not None:
            self.served = f"{self.served}:{self.adapter}"

    async def start(self) -> None:
        """Raises SetupError if the key is not set, or the server is up and has no such model or adapter."""
        await OpenAIHTTP.start(self)
        names = await self._names()
        for key, wanted in (("model", self.model), ("adapter", self.adapter)):
            if names and wanted is not None and wanted not in names:
                raise SetupError(f"experts.{self.name}.{key}: the server has no {wanted!r}; it has {', '.join(names)}")

    async def _names(self) -> list[str]:
        """The models and adapters of the server; none if it cannot be asked now."""
        path = urlsplit(self.url).path.rstrip("/") + "/models"
        try:
            async with self._client.request("GET", path, self._headers(), deadlines=LOOK) as response:
                body = await response.read() if response.status == 200 else b"{}"
            return [str(model["id"]) for model in orjson.loads(body).get("data", [])]
        except (HTTPError, orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            return []
