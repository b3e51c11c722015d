"""Encoders: text to unit vectors, on the CPU of this machine.

`MiniLM` is all-MiniLM-L6-v2 under onnxruntime, without torch; `SentenceTransformers` runs any model of that
library, as an extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experts.base import SetupError
from experts.weights import FOLDER as WEIGHTS_FOLDER
from experts.weights import fetch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHARACTERS_PER_TOKEN = 10
"""Text beyond this many characters a token is cut before it is tokenized: tokenizing costs 2.5 us a token."""
WEIGHTS = "all-minilm-l6-v2"
PRECISIONS = ("fp32", "int8")
SLOW = ("SkipLayerNormFusion",)
"""What onnxruntime makes of a graph on its own, and had better not: in one step, a sum and its norm take six times as
long as in two."""


class MiniLM:
    """all-MiniLM-L6-v2 (Apache-2.0): 384 dimensions, English. Not for several threads at once.

    `tokens` bounds the length and so the time; `precision` is `fp32` or `int8`. The weights are fetched into
    `weights` and the ONNX graph is made in `folder` on first use, which raises SetupError if that fails.
    """

    def __init__(
        self,
        folder: str = "state/encoder",
        weights: str = WEIGHTS_FOLDER,
        tokens: int = 128,
        precision: str = "fp32",
        threads: int = 1,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}; known: {', '.join(PRECISIONS)}")
        self.folder = Path(folder)
        self.weights = Path(weights)
        self.tokens = tokens
        self.precision = precision
        self.threads = threads

    @property
    def name(self) -> str:
        """What a fitted router remembers, so that it is never given another encoder's vectors."""
        return f"all-MiniLM-L6-v2/{self.precision}/{self.tokens}"

    @property
    def dimensions(self) -> int:
        return 384

    @property
    def characters(self) -> int:
        """How much of a text is looked at."""
        return self.tokens * CHARACTERS_PER_TOKEN

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One by one: a batch is slower on a CPU, and under int8 a vector would depend on what else is in it."""
        import numpy as np

        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            ids = np.array([self._tokenizer.encode(self._cut(text)).ids], np.int64)
            row[:] = self._session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0][0]
        return vectors

    def _cut(self, text: str) -> str:
        """The beginning, as well-formed Unicode: a lone surrogate from JSON would stop the tokenizer."""
        return text[: self.characters].encode("utf-8", "replace").decode()

    @cached_property
    def _tokenizer(self) -> Any:
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(str(self._file("tokenizer.json")))
        tokenizer.enable_truncation(self.tokens)
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidProtobuf

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        graph = self._graph()
        try:
            return onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(SLOW)
            )
        except (InvalidProtobuf, Fail) as error:
            raise SetupError(f"encoder: {graph} is damaged: remove it, it will be made anew") from error

    def _graph(self) -> Path:
        """The ONNX file, made from the weights if it is not there yet."""
        graph = self.folder / f"all-minilm-l6-v2-{self.precision}.onnx"
        if not graph.exists():
            from routers.minilm import write_graph

            self.folder.mkdir(parents=True, exist_ok=True)
            write_graph(self._file("model.safetensors"), graph, self.precision)
        return graph

    def _file(self, name: str) -> Path:
        return fetch(WEIGHTS, self.weights).with_name(name)


class SentenceTransformers:
    """Any model of the sentence-transformers library, by name or local folder; needs the extra of that name."""

    def __init__(self, model: str, tokens: int | None = None, device: str = "cpu") -> None:
        self.model = model
        self.tokens = tokens
        self.device = device

    @property
    def name(self) -> str:
        return f"sentence-transformers/{Path(self.model).name}/{self.tokens or 'full'}"

    @property
    def dimensions(self) -> int:
        return int(self._library.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        vectors = self._library.encode(clean, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32).reshape(len(texts), -1)

    @cached_property
    def _library(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise SetupError(
                "encoder: install the extra: pip install 'lyceum-gateway[sentence-transformers]'"
            ) from error
        library = SentenceTransformer(self.model, device=self.device)
        if self.tokens is not None:
            library.max_seq_length = self.tokens
        return library
