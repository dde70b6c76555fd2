"""What goes wrong in CEL: a source that does not compile (all its issues at once), a value that cannot be computed."""

from __future__ import annotations

from dataclasses import dataclass


class CelError(Exception):
    """An evaluation failed; the text is cel-go's."""


class CostExceeded(CelError):
    """The evaluation cost more than it may; unlike other errors no operator absorbs it."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One complaint about a source; offset counts code points from 0."""

    offset: int
    message: str


class CompileError(Exception):
    """The source does not parse or type-check; its text is what cel-go's ``Issues.String()`` gives."""

    def __init__(self, source: str, issues: list[Issue]) -> None:
        self.issues = sorted(issues, key=lambda i: i.offset)
        super().__init__("\n".join(render(source, issue) for issue in self.issues))


def render(source: str, issue: Issue) -> str:
    """The message with the line it is about and a caret under the place; wide characters get wide dots."""
    before = source[: issue.offset]
    line, column = before.count("\n") + 1, issue.offset - (before.rfind("\n") + 1)
    lines = source.split("\n")
    text = lines[line - 1] if line <= len(lines) else ""
    dots = "".join("．" if ord(c) > 127 else "." for c in text[:column]).ljust(column, ".")
    caret = "＾" if column < len(text) and ord(text[column]) > 127 else "^"
    shown = text.replace("\t", " ")
    return f"ERROR: <input>:{line}:{column + 1}: {issue.message}\n | {shown}\n | {dots}{caret}"
