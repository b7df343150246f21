"""Plain values as R's own ``serialize()`` writes them, so that base R alone can read and answer.

The format is version 2 in XDR ("R Internals", section 1.8): big-endian, every item a word of flags,
its length, its content. Doubles keep every bit. Only plain values travel: vectors of doubles,
integers, logicals and strings, and lists of these with or without names.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from pp_compare.errors import EngineError

_HEADER = b"X\n" + struct.pack(">3i", 2, 0x040000, 0x020300)
"""Format 2, as R 4.0.0 writes it and R 2.3.0 and later read it."""
_SYMBOL, _PAIRS, _CHARACTERS, _LOGICAL, _INTEGER, _DOUBLE, _STRINGS, _LIST = (
    1, 2, 9, 10, 13, 14, 16, 19,
)  # fmt: skip
_NOTHING, _REFERENCE = 254, 255
_HAS_ATTRIBUTES, _HAS_TAG = 0x200, 0x400
_UTF8, _ASCII = 0x8000, 0x40000
_MISSING_LOGICAL = -(2**31)


def dumps(value: object) -> bytes:
    """A plain value for R's ``unserialize()``.

    Parameters
    ----------
    value : float, int, bool, str, ndarray of float64 or int32, sequence or mapping of these
        Numbers alone become doubles; a sequence that begins with a str is a vector of strings,
        any other is a list.

    Raises
    ------
    TypeError
        For a value of another kind.
    """
    return _HEADER + _item(value)


def _item(value: object) -> bytes:
    match value:
        case np.ndarray() if value.dtype == np.float64:
            return _vector(_DOUBLE, value.size, value.astype(">f8").tobytes())
        case np.ndarray() if value.dtype == np.int32:
            return _vector(_INTEGER, value.size, value.astype(">i4").tobytes())
        case bool():
            return _vector(_LOGICAL, 1, struct.pack(">i", value))
        case int() | float():
            return _vector(_DOUBLE, 1, struct.pack(">d", value))
        case str():
            return _strings([value])
        case Mapping():
            items = b"".join(map(_item, value.values()))
            names = struct.pack(">2i", _PAIRS | _HAS_TAG, _SYMBOL) + _characters("names")
            names += _strings(list(value)) + struct.pack(">i", _NOTHING)
            return _vector(_LIST | _HAS_ATTRIBUTES, len(value), items) + names
        case [str(), *_]:
            return _strings([str(text) for text in value])
        case [*items]:
            return _vector(_LIST, len(items), b"".join(map(_item, items)))
    raise TypeError(f"a {type(value).__name__} has no form in R here")


def _vector(flags: int, length: int, content: bytes) -> bytes:
    return struct.pack(">2i", flags, length) + content


def _strings(texts: list[str]) -> bytes:
    return _vector(_STRINGS, len(texts), b"".join(map(_characters, texts)))


def _characters(text: str) -> bytes:
    encoded = text.encode()
    return _vector(_CHARACTERS | (_ASCII if text.isascii() else _UTF8), len(encoded), encoded)


def loads(data: bytes) -> Any:
    """A plain value that R's ``serialize(x, NULL, version = 2)`` wrote.

    Returns
    -------
    ndarray of float64 or int32, list of str or of bool and None, list, or dict
        A list with names is a dict; attributes other than names are left out; NULL is an empty
        list.

    Raises
    ------
    EngineError
        For anything else.
    """
    if data[:2] != b"X\n" or len(data) < len(_HEADER):
        raise EngineError("R's answer is not in the format that was asked for")
    try:
        return _Reader(data, len(_HEADER)).value()
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise EngineError(f"R's answer cannot be read: {error}") from error


class _Reader:
    """Reads items from a position on; symbols may be referred to again by number."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._symbols: list[str] = []

    def value(self) -> Any:
        flags = self._word()
        kind = flags & 0xFF
        if kind == _NOTHING:
            return []
        length = self._word()
        found = self._content(kind, length)
        names = self._attributes() if flags & _HAS_ATTRIBUTES else None
        return (
            dict(zip(names, found, strict=True)) if kind == _LIST and names is not None else found
        )

    def _content(self, kind: int, length: int) -> Any:
        if kind == _DOUBLE:
            return np.frombuffer(self._bytes(8 * length), ">f8").astype(np.float64)
        if kind == _INTEGER:
            return np.frombuffer(self._bytes(4 * length), ">i4").astype(np.int32)
        if kind == _LOGICAL:
            words = np.frombuffer(self._bytes(4 * length), ">i4").tolist()
            return [None if word == _MISSING_LOGICAL else bool(word) for word in words]
        if kind == _STRINGS:
            return [self._characters() for _ in range(length)]
        if kind == _LIST:
            return [self.value() for _ in range(length)]
        raise EngineError(f"R answered with a value of type {kind}, which is not expected")

    def _attributes(self) -> list[str] | None:
        """The names, among all attributes."""
        names = None
        while (self._word() & 0xFF) == _PAIRS:
            tag, value = self._symbol(), self.value()
            names = value if tag == "names" else names
        return names

    def _symbol(self) -> str:
        flags = self._word()
        if flags & 0xFF == _REFERENCE:
            return self._symbols[(flags >> 8 or self._word()) - 1]
        self._symbols.append(self._characters())
        return self._symbols[-1]

    def _characters(self) -> str:
        self._word()
        length = self._word()
        return "NA" if length < 0 else self._bytes(length).decode()

    def _word(self) -> int:
        (word,) = struct.unpack(">i", self._bytes(4))
        return int(word)

    def _bytes(self, count: int) -> bytes:
        self._at += count
        found = self._data[self._at - count : self._at]
        if len(found) < count:
            raise IndexError("it ends too early")
        return found
