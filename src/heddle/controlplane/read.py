"""Files and folders to documents: which files are meant, what is in them.

Refuses what cannot be a configuration: large files, pipes, text that is not UTF-8. Bad input becomes problems.
"""

import stat
from pathlib import Path
from typing import Any, NamedTuple

from heddle.controlplane.yamldoc import MAX_BYTES, read_documents
from heddle.model.problem import Place, Report, Source, did_you_mean

_SUFFIXES = (".yaml", ".yml")


class Document(NamedTuple):
    """A document and where it came from."""

    value: dict[str, Any]
    source: Source
    stem: str
    """Name of its file without the suffix: the name of what has none of its own."""


def find_files(paths: list[Path], report: Report) -> list[Path]:
    """The files that are meant: folders stand for their `*.yaml` and `*.yml`, sorted, hidden ones left out, not
    descended into."""
    found: list[Path] = []
    for path in paths:
        place = Place(Source(str(path)), "")
        try:
            if path.is_dir():
                inside = sorted(
                    one for one in path.iterdir() if one.suffix in _SUFFIXES and not one.name.startswith(".")
                )
                if not inside:
                    report.error(place, "the folder holds no .yaml or .yml file")
                found.extend(inside)
            elif path.exists():
                found.append(path)
            else:
                report.error(place, "there is no such file or folder", _sibling(path))
        except (OSError, ValueError) as exc:
            report.error(place, f"cannot be read: {getattr(exc, 'strerror', None) or 'not a path'}")
    return list(dict.fromkeys(found))


def read_file(path: Path, report: Report) -> list[Document]:
    """The documents of a file; whatever is wrong with it is reported."""
    text = read_text(path, report)
    if text is None:
        return []
    documents, problems = read_documents(text)
    made: list[Document] = []
    whole = Source(str(path), {"": 1}, folder=str(path.parent))
    for line, where, message in problems:
        found = Place(Source(str(path), {where: line}), where)
        report.error(found, message)
    for document in documents:
        camel = isinstance(document.value, dict) and "apiVersion" in document.value
        source = Source(str(path), document.lines, folder=str(path.parent), camel=camel)
        for _, where, _ in problems:
            if where in document.lines:
                report.mark_broken(Place(source, where))
        if isinstance(document.value, dict):
            made.append(Document(document.value, source, path.stem))
        else:
            report.error(Place(source, ""), "expected a mapping at the top of the document")
    if not documents and not problems:
        report.error(Place(whole, ""), "the file is empty")
    return made


def read_text(path: Path, report: Report) -> str | None:
    """The text of a file; None, after reporting why, when it cannot be a configuration."""
    wrong, hint, line = "", "", 0
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            wrong = "is not a regular file"
        else:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) <= MAX_BYTES:
                return content.decode("utf-8-sig")
            wrong, hint = f"is larger than {MAX_BYTES // 1024 // 1024} MiB", "split it into several files"
    except OSError as exc:
        wrong = f"cannot be read: {exc.strerror}"
    except UnicodeDecodeError as exc:
        wrong, line = "is not UTF-8 text", content[: exc.start].count(b"\n") + 1
    report.error(Place(Source(str(path), {"": line}), ""), wrong, hint)
    return None


def _sibling(path: Path) -> str:
    try:
        names = [one.name for one in path.parent.iterdir()]
    except OSError:
        return ""
    return did_you_mean(path.name, names)
