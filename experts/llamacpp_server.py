"""The child program of a local expert: one llama.cpp server on loopback, in a process that can be killed by itself.

It prints one JSON line, `{"url": ...}` when the model is loaded or `{"error": ...}`, and lives as long as its
standard input is open: a parent that dies, however it dies, takes it along.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import threading
from typing import IO, Any

PROMPT_CACHE_MIB = 256
"""Host memory for prompts seen before; llama.cpp's own default is 8 GiB."""

ERRORS_ONLY = 1
PR_SET_PDEATHSIG = 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experts.llamacpp_server")
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", default="local")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--context", type=int, default=4096, help="tokens of one request, prompt and answer")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    out = _own_stdout()
    _die_with_parent()
    try:
        server = serve(args)
    except RuntimeError as error:
        _say(out, {"error": str(error)})
        return 1
    _say(out, {"url": server.listening_address + "/v1"})
    signal.pause()
    return 0


def serve(args: argparse.Namespace) -> Any:
    """The running server, its model loaded. Raises RuntimeError."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = args.model
    params.model_alias = {args.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    params.n_ctx = args.context * args.parallel  # llama.cpp divides it among the slots
    params.n_parallel = args.parallel
    # Threads spin at barriers: more than the free cores make an answer many times slower.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.fit_params = False  # the context is what the card says, or the start fails
    params.verbosity = ERRORS_ONLY
    params.endpoint_metrics = params.endpoint_slots = True
    params.endpoint_props = params.ui = params.cors_credentials = False
    params.cors_origins = "null"
    # Other users of this machine, and pages in its browsers, reach loopback too.
    params.api_keys = [os.environ["LYCEUM_CHILD_KEY"]] if "LYCEUM_CHILD_KEY" in os.environ else []
    return xllamacpp.Server(params)


def _own_stdout() -> IO[str]:
    """Standard output for our line alone: whatever the native library prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


def _say(out: IO[str], line: dict[str, str]) -> None:
    out.write(json.dumps(line) + "\n")
    out.flush()


def _die_with_parent() -> None:
    """Ends this process with its parent, even one that was killed: the kernel tells, and so does the pipe."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_end_of_input, daemon=True).start()


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
