"""The stateful model of the book for another 56,000 steps, in a file of its own so that processes share the work."""

from tests.policies.test_book import Machine, sized


class Again(Machine):
    """The same machine: each run of it takes other steps."""


TestTheBookAgain = Again.TestCase  # rows 45 and 51
TestTheBookAgain.settings = sized(280, 200)
