"""A refactor leaves the digests of all images as they were. A change that means to move them writes this table anew."""

import json
from pathlib import Path

import pytest

import s2nir
from real import NETWORKS, graph, needs_shared

TABLE = Path(__file__).with_name("digests.json")


def digests(name):
    """The image of a real network in both formats."""
    found = {}
    for arithmetic in ("float32", "fixed"):
        found[arithmetic] = s2nir.compile(s2nir.quantize(graph(name), arithmetic=arithmetic)).digest
    return found


@needs_shared
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_digest(name):
    assert digests(name) == json.loads(TABLE.read_text())[name]
