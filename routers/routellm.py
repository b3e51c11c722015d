"""RouteLLM's own routers, of the package `routellm`, for a weak and a strong expert. Needs the extra of that name.

The package embeds prompts at OpenAI's. Here its matrix factorization gets the vector that our encoder made of the
prompt, so its weights must have been trained on vectors of that encoder. Its `causal_llm` and `sw_ranking` are not
here: they load from Hugging Face's hub whatever folder they are given, and the first runs under CUDA alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from experts.base import Outcome, Request, SetupError
from experts.build import check_key
from experts.catalog import Catalog
from routers.base import Estimate, Estimates
from routers.prior import estimate as prior_estimate
from routers.simple import characters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

PUBLISHED = ("gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1")
"""Strong and weak model of the package's own weights."""
KEY = "OPENAI_API_KEY"
WEIGHTS = "model.safetensors"
SHAPES = {"P.weight": 2, "text_proj.0.weight": 2, "classifier.0.weight": 2}


class _Pair:
    """The chance that the strong expert beats the weak one, as two estimates. Others are as on their cards."""

    def __init__(self, weak: str, strong: str, threshold: float) -> None:
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold is {threshold}; it must lie between 0 and 1")
        self.weak = weak
        self.strong = strong
        self.threshold = threshold

    def chance(self, request: Request) -> float | None:
        """That the strong expert wins, in [0, 1]; `None` if nothing can be told."""
        raise NotImplementedError

    def estimate(self, request: Request, catalog: Catalog, outcomes: Sequence[Outcome] = ()) -> Estimates:
        """One estimate for each name. Without a price of quality the strong expert leads where RouteLLM takes it."""
        length = characters(request)
        told = {name: prior_estimate(name, card, length) for name, card in catalog.items()}
        chance = self.chance(request)
        if chance is None or chance != chance:
            return told
        lead = (chance - self.threshold) / 2.0
        for name, ahead in ((self.strong, lead), (self.weak, -lead)):
            if name in told:
                told[name] = _moved(told[name], ahead)
        return told


class MatrixFactorization(_Pair):
    """RouteLLM's matrix factorization, on the vectors of our encoder.

    `weights` is a local folder, as `MFModel.save_pretrained` of the package writes it. `models` are the strong and
    the weak model, by the package's names, that they tell apart; the experts may be others. `encoder` names the
    encoder whose vectors they were trained on: another one is refused at start, if it is given."""

    def __init__(
        self,
        weak: str,
        strong: str,
        weights: str,
        threshold: float = 0.5,
        models: Sequence[str] = PUBLISHED,
        encoder: str = "",
    ) -> None:
        super().__init__(weak, strong, threshold)
        self.encoder = encoder
        shapes = _shapes(Path(weights))
        self.dimensions = shapes["text_proj.0.weight"][1]
        package, self._factors = _package()
        for model in models:
            check_key(model, sorted(self._factors.MODEL_IDS), "router.models")
        self._vectors = Vectors()
        self._router = package.MatrixFactorizationRouter(
            weights,
            *models,
            hidden_size=shapes["P.weight"][1],
            num_models=shapes["P.weight"][0],
            text_dim=self.dimensions,
            num_classes=shapes["classifier.0.weight"][0],
        )

    def chance(self, request: Request) -> float | None:
        import numpy as np

        vector = request.embedding
        if vector is None or vector.shape != (self.dimensions,) or not np.isfinite(vector).all() or not vector.any():
            return None
        self._vectors.vector = vector.astype(np.float32)
        self._factors.OPENAI_CLIENT = self._vectors
        return float(self._router.calculate_strong_win_rate(request.prompt))


class Bert(_Pair):
    """RouteLLM's BERT; it needs no vector. `weights` is a local folder with the classifier and its tokenizer."""

    def __init__(self, weak: str, strong: str, weights: str, threshold: float = 0.5) -> None:
        super().__init__(weak, strong, threshold)
        _file(Path(weights), "config.json")
        self._router = _package()[0].BERTRouter(weights)

    def chance(self, request: Request) -> float | None:
        clean = request.prompt.encode("utf-8", "replace").decode()
        return float(self._router.calculate_strong_win_rate(clean))


class Vectors:
    """Stands where the package keeps its client of OpenAI, and answers with the vector that is already there."""

    vector: Vector

    @property
    def embeddings(self) -> Vectors:
        return self

    def create(self, **asked: object) -> SimpleNamespace:
        """In the form of OpenAI's answer."""
        return SimpleNamespace(data=[SimpleNamespace(embedding=self.vector)])


def _moved(estimate: Estimate, ahead: float) -> Estimate:
    return estimate._replace(quality=min(1.0, max(0.0, 0.5 + ahead)))


def _package() -> tuple[Any, Any]:
    """Its module of routers, and that of matrix factorization. Raises SetupError."""
    with _placeholder():
        try:
            from routellm.routers import routers
            from routellm.routers.matrix_factorization import model
        except ImportError as error:
            raise SetupError("router: install the extra: pip install 'lyceum-gateway[routellm]'") from error
    return routers, model


@contextmanager
def _placeholder() -> Iterator[None]:
    """The package makes its client of OpenAI when it is imported, which wants some key; no request is ever made."""
    if KEY in os.environ:
        yield
        return
    os.environ[KEY] = "unused"
    try:
        yield
    finally:
        os.environ.pop(KEY, None)


def _shapes(folder: Path) -> Mapping[str, tuple[int, ...]]:
    """Of the arrays in the weights of a matrix factorization. Raises SetupError."""
    import safetensors

    try:
        with safetensors.safe_open(_file(folder, WEIGHTS), framework="numpy") as arrays:
            names = arrays.keys()
            found = {name: tuple(arrays.get_slice(name).get_shape()) for name in names}
    except safetensors.SafetensorError as error:
        raise SetupError(f"router.weights: {WEIGHTS} in {folder} is damaged ({error})") from error
    if {name: len(shape) for name, shape in found.items()} != SHAPES:
        raise SetupError(f"router.weights: {WEIGHTS} in {folder} holds no matrix factorization of RouteLLM's")
    return found


def _file(folder: Path, name: str) -> Path:
    """A file of a local folder: a name on a hub is not looked up. Raises SetupError."""
    if not (folder / name).is_file():
        raise SetupError(f"router.weights: there is no {name} in {folder}; give a local folder with RouteLLM's weights")
    return folder / name
