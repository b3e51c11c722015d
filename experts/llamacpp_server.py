"""The child program of a local expert: one llama.cpp server on loopback, in a process that can be killed by itself.

It prints one JSON line, `{"url": ...}` when the model is loaded or `{"error": ...}`, and lives as long as its
standard input is open: a parent that dies, however it dies, takes it along.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any

from experts.child_side import die_with_parent, own_stdout, say

PROMPT_CACHE_MIB = 256
"""Host memory for prompts seen before; llama.cpp's own default is 8 GiB."""

ERRORS_ONLY = 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experts.llamacpp_server")
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", default="local")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--context", type=int, default=4096, help="tokens of one request, prompt and answer")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    out = own_stdout()
    die_with_parent()
    try:
        server = serve(args)
    except RuntimeError as error:
        say(out, {"error": str(error)})
        return 1
    say(out, {"url": server.listening_address + "/v1"})
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


if __name__ == "__main__":
    sys.exit(main())
