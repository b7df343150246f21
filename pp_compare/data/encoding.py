"""Bytes as text: what they are packed in, and what they are encoded in, told by inspection."""

from __future__ import annotations

import codecs
import io
import zlib
from gzip import BadGzipFile, GzipFile

from pp_compare.errors import DataError

MOST_BYTES = 256 * 2**20
"""Of a file, unpacked: as text in memory it takes some ten times as much."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


def unpacked(content: bytes, name: str) -> tuple[bytes, str]:
    """The content of a gzip file, whatever it is called, with how it was packed.

    Raises
    ------
    DataError
        For a damaged file, or one that unpacks to more than `MOST_BYTES`.
    """
    if not content.startswith(b"\x1f\x8b"):
        return content, ""
    try:
        with GzipFile(fileobj=io.BytesIO(content)) as file:
            inside = file.read(MOST_BYTES + 1)
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"'{name}' is a damaged gzip file: {error}") from None
    check_size(len(inside), name)
    return inside, "unpacked by gzip"


def check_size(size: int, name: str) -> None:
    """Refuse more than can be held in memory.

    Raises
    ------
    DataError
    """
    if size > MOST_BYTES:
        raise DataError(
            f"'{name}' holds more than {MOST_BYTES >> 20} MiB; "
            "write the columns of the formula into a file of their own"
        )


def decoded(content: bytes, name: str) -> tuple[str, str]:
    """Text, and the encoding where it is not plain UTF-8.

    A byte order mark decides; then every second byte being zero (UTF-16); then whether it is UTF-8,
    which text in another encoding hardly ever is by chance; else it is Windows-1252, of which
    Latin-1 is a part as far as text goes.

    Raises
    ------
    DataError
        For what is no text.
    """
    encoding, said, start = _told(content)
    try:
        text = content[start:].decode(encoding)
    except UnicodeDecodeError as error:
        where = f"byte {error.start + start + 1}"
        raise DataError(f"'{name}' begins as {said} but is damaged at {where}") from None
    if "\x00" in text:
        raise DataError(f"'{name}' is not text: it holds zero bytes")
    return text.replace("\r\n", "\n").replace("\r", "\n"), said


def _told(content: bytes) -> tuple[str, str, int]:
    """Codec, its name for people, and the bytes to leave out."""
    for mark, codec, said in _BOMS:
        if content.startswith(mark):
            return codec, said, len(mark) if codec == "utf-8" else 0
    head = content[:1000]
    if len(head) >= 4 and head[1::2].count(0) > len(head) // 3:
        return "utf-16-le", "UTF-16", 0
    if len(head) >= 4 and head[0::2].count(0) > len(head) // 3:
        return "utf-16-be", "UTF-16", 0
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8", "", 0
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1", "Latin-1", 0
    return "cp1252", "Windows-1252", 0
