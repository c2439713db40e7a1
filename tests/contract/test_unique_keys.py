"""A key that is twice in one object: of two readers one would see the first, the other the last."""

import json

import pytest

from broker.unique_keys import KeyTwice, unique


def test_a_key_twice_is_named_at_any_depth() -> None:
    with pytest.raises(KeyTwice, match="'b' is there twice in one object") as twice:
        json.loads('{"a": [{"b": 1, "c": 2, "b": 1}]}', object_pairs_hook=unique)
    assert twice.value.key == "b"
    assert len(str(KeyTwice("x" * 5000))) < 100


def test_keys_of_different_objects_may_be_equal() -> None:
    assert json.loads('{"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}', object_pairs_hook=unique) == {
        "a": {"a": 1},
        "b": [{"a": 2}, {"a": 3}],
    }
