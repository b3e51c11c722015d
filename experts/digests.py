"""Whether a file of weights is what the manifest says; a stamp beside it spares the next start the reading."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from experts.manifest import File


def verified(path: Path, file: File) -> bool:
    """Whether the file has the digest of the manifest: by its stamp, or by reading it once."""
    if stamped(path, file):
        return True
    if not path.exists() or not _matches(path, file):
        return False
    _stamp(path, file)
    return True


def stamped(path: Path, file: File) -> bool:
    """Whether the file was verified before and has not been touched since; it is not read."""
    try:
        return bool(json.loads(_stamp_path(path).read_text()) == _facts(path, file))
    except (OSError, ValueError):
        return False


def promoted(part: Path, file: File, final: Path) -> bool:
    """Makes the part the final file, durably, if its digest is right; else removes it."""
    if not _matches(part, file):
        part.unlink()
        return False
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(final)
    _stamp(final, file)
    return True


def _matches(path: Path, file: File) -> bool:
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _facts(path: Path, file: File) -> dict[str, object]:
    about = path.stat()
    return {"size": about.st_size, "mtime_ns": about.st_mtime_ns, "sha256": file.sha256}


def _stamp(path: Path, file: File) -> None:
    _stamp_path(path).write_text(json.dumps(_facts(path, file)))


def _stamp_path(path: Path) -> Path:
    return path.with_name(path.name + ".verified")
