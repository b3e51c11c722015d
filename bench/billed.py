"""The configuration of gateways whose money is measured: one expert that keeps its own bill, one budget for all."""

CONFIG = """
[server]
port = {port}
workers = {workers}
failures_in_a_row = 0
[experts.{name}]
use = "experts.openai_http:OpenAIHTTP"
url = "http://127.0.0.1:{expert}/v1"
price = {{ prompt = 1.0, completion = 2.0 }}
{more}
[router]
use = "routers.simple:Cards"
[policy]
use = "policies.pick:Utility"
usd_per_quality = 0.01
[budgets.all]
usd = {usd:.9f}
period = "total"
"""
PLENTY = 100_000.0
"""Dollars that no benchmark spends."""


def configuration(name: str, expert: int, port: int = 0, workers: int = 0, usd: float = PLENTY, more: str = "") -> str:
    """A gateway on a port (0: any) in front of an expert on another; `more` are further keys of the expert."""
    return CONFIG.format(name=name, expert=expert, port=port, workers=workers, usd=usd, more=more)
