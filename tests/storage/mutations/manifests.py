"""Mutations of a manifest: as values, and as text."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 64, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -(2**63)),
    *(0.5, -0.0, 1.0, 1e308, 5e-324, -1e-9),
    *("", "a", "../../etc/passwd", "os.system", "nobody.nothing", "swish", "\ud800", "\0", "é\u2028", "x" * 3000, "1"),
    *("dense", "relu", "softmax", "sigmoid", "dropout", "flatten", "float64", "float32", "<f8", "|u1", "csv", "adam"),
    *([], {}, [[]], [1, "a", None], [10**9] * 40, {"type": "dense"}, {"type": "dense", "units": 10**12}),
    *({"$float": "inf"}, {"$float": "nonsense"}, {"": {}}, {"type": ["dense"]}, {"type": {"type": "relu"}}),
)
LAYERS: tuple[Any, ...] = (
    "flatten",
    "softmax",
    {"type": "dropout", "rate": 0.5},
    {"type": "dense", "units": 3},
    {"type": "dense", "units": 2**40},
    {"type": "reshape", "shape": [-1]},
    {"type": "reshape", "shape": [10**9, 10**9]},
    {"type": "embedding", "categories": 10**10, "units": 10**10},
    {"type": "add", "inputs": ["dense_1", "dense_2"]},
    {"type": "activation", "activation": "relu"},
    {"type": "layer_norm"},
    {"type": "one_hot", "classes": 10**12},
    {"type": "nobody.layer"},
)


def mutate_values(values: Any, rng: random.Random) -> Any:
    """`values`, changed in place at some depth; what comes back is them, or seldom something else."""
    if rng.random() < 0.01 or not isinstance(values, dict):
        return _copy_of(ODD, rng)
    if rng.random() < 0.3 and isinstance(values.get("config"), dict):
        _mutate_config(values, rng)
        return values
    parent, key = _somewhere(values, rng)
    if parent is not None:
        rng.choice(CHANGES)(parent, key, values, rng)
    return values


def _copy_of(values: Sequence[Any], rng: random.Random) -> Any:
    """One of `values`, which are as they were for the next case whatever is done to it."""
    return copy.deepcopy(rng.choice(values))


def _somewhere(values: Any, rng: random.Random) -> tuple[Any, Any]:
    """A container within `values` and a key of it: the deeper the less likely."""
    parent, key = None, None
    while isinstance(values, dict | list) and values:
        parent, key = values, rng.choice(list(values)) if isinstance(values, dict) else rng.randrange(len(values))
        values = values[key]
        if rng.random() < 0.25:
            break
    return parent, key


def _remove(parent: Any, key: Any, values: Any, rng: random.Random) -> None:
    del parent[key]


def _replace(parent: Any, key: Any, values: Any, rng: random.Random) -> None:
    parent[key] = _copy_of(ODD, rng)


def _replace_by_another(parent: Any, key: Any, values: Any, rng: random.Random) -> None:
    other, there = _somewhere(values, rng)
    parent[key] = copy.deepcopy(other[there])


def _nest(parent: Any, key: Any, values: Any, rng: random.Random) -> None:
    parent[key] = _nested(parent[key], rng.choice((1, 2, 60, 70)), rng)


def _alter(parent: Any, key: Any, values: Any, rng: random.Random) -> None:
    parent[key] = _nearby(parent[key], rng)


def _repeat(parent: Any, key: Any, values: Any, rng: random.Random) -> None:
    if isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
    else:
        names = ("extra", "", "$float", f"{key}x", "type", "name", "weights/dense_1/extra", "\ud800")
        parent[rng.choice(names)] = copy.deepcopy(parent[key])


def _rename(parent: Any, key: Any, values: Any, rng: random.Random) -> None:
    if isinstance(parent, list):
        rng.shuffle(parent)
    else:
        parent[rng.choice((f"{key}2", key.upper(), key[:-1], "\0"))] = parent.pop(key)


CHANGES = (_remove, _replace, _replace, _replace, _replace_by_another, _nest, _alter, _repeat, _rename)


def _mutate_config(values: dict[str, Any], rng: random.Random) -> None:
    """Change what the configuration would build."""
    layers, shapes = values["config"].get("layers"), ([1], [2], [3], [3, 3], [0], [], [10**18], [2**62] * 4, [1] * 70)
    if not isinstance(layers, list) or not layers:
        return
    at = rng.randrange(len(layers))
    layer = layers[at] if isinstance(layers[at], dict) else {}
    activations = ("tanh", "linear", "softmax", "swish", {"type": "leaky_relu", "slope": 1e9})
    changes = (
        lambda: layer.update(units=rng.choice((0, 1, 2, 3, 5, 2**31, 2**62, 10**30, -1, True, 2.0))),
        lambda: layers.insert(at, _copy_of(LAYERS, rng)),
        lambda: layers.insert(at, layers.pop(rng.randrange(len(layers)))),
        lambda: layers.pop(at),
        lambda: layer.update(activation=_copy_of(activations, rng)),
        lambda: layer.update({rng.choice(("name", "inputs", "bias", "rate", "type")): _copy_of(ODD, rng)}),
        lambda: values.update(input_shape=_copy_of(shapes, rng)),
        lambda: values["config"].update(dtype=rng.choice(("float32", "float64", "float16", "int64", 4))),
    )
    rng.choice(changes)()
    if rng.random() < 0.7:
        _mend_table(values, layers)


def _mend_table(values: dict[str, Any], layers: list[Any]) -> None:
    """Make the table of layers that of the configuration, which only the classes of the layers can then tell apart."""
    table = values.get("layers")
    if not isinstance(table, list) or not all(isinstance(entry, dict) for entry in table):
        return
    known = {entry.get("name"): entry for entry in table if isinstance(entry.get("name"), str)}
    above, counts, mended = "input", Counter[str](), []
    for layer in layers:
        fields = layer if isinstance(layer, dict) else {"type": layer}
        kind = str(fields.get("type"))
        counts[kind] += 1
        name = fields.get("name") or f"{kind}_{counts[kind]}"
        entry = known.get(name, {}) if isinstance(name, str) else {}
        new = {"name": name, "inputs": fields.get("inputs") or [above], "output_shape": [3], "trained": []}
        mended.append(new | {key: entry[key] for key in ("output_shape", "trained") if key in entry})
        above = name
    values["layers"] = mended


def _nested(value: Any, levels: int, rng: random.Random) -> Any:
    for _ in range(levels):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _nearby(value: Any, rng: random.Random) -> Any:
    """A value that is almost `value`."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return rng.choice((value + 1, value - 1, -value, value * 2, float(value), int(value), value / 3, str(value)))
    if isinstance(value, str) and value:
        at = rng.randrange(len(value))
        return rng.choice(
            (value[:at] + chr(rng.randrange(1, 400)) + value[at + 1 :], value[:-1], value * 2, value.upper())
        )
    if isinstance(value, list):
        return rng.choice((value[:-1], value * 2, value[::-1], [*value, None], dict.fromkeys(map(str, value))))
    return rng.choice(([value], list(value), {}, str(value)))


def mutate_text(text: bytes, rng: random.Random) -> bytes:
    """Another text, with the values of `text` written otherwise, or no JSON at all."""
    at = rng.randrange(len(text))
    number = rng.choice((b"NaN", b"-Infinity", b"1e999", b"1" * 5000, b"1E5", b"1.50", b"-0", b"1e-400", b"01"))
    colons = [
        index
        for index in range(len(text) - 1)
        if text[index : index + 1] == b":" and text[index + 1 : index + 2].isdigit()
    ]
    after = rng.choice(colons) + 1 if colons else at
    stop = after
    while stop < len(text) and text[stop : stop + 1] not in b",}]":
        stop += 1
    deep = rng.choice((50, 64, 65, 900, 5000, 100_000))
    return rng.choice(
        (
            text[:after] + number + text[stop:],
            text[:at],
            text[at:],
            text + rng.choice((b"\n", b" ", b"\0", b"{}", b"x", text)),
            rng.choice((b" ", b"\xef\xbb\xbf", b"[", b"\0")) + text,
            text[:at] + bytes((rng.randrange(256),)) + text[at + 1 :],
            text[:at] + bytes((text[at] ^ (1 << rng.randrange(8)),)) + text[at + 1 :],
            text.replace(b",", b", ", rng.choice((1, -1))),
            b'{"config":1,' + text[1:],
            text[:-1] + b',"x":1,"x":1}',
            b'{"a":' * deep + b"1" + b"}" * deep,
            b"[" * deep + b"]" * deep,
            text[:-1] + b',"z":' + b"[" * deep + b"]" * deep + b"}",
            b"[]",
            b"null",
            b"",
            b"\xff" * 10,
            text.decode().upper().encode(),
            text.replace(b'"', b"\\u0022", 1),
            text.replace(b"e", b"\\u0065", 1),
        )
    )
