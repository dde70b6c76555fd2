"""Regular expressions, the one place that knows their engine.

CEL's are RE2's. Python's engine takes nearly the same language; what RE2 does not have (look-around, back references,
possessive and atomic groups) is refused here as Go refuses it. Python's engine may backtrack where RE2 cannot, so
patterns and texts are kept short by the cost limit.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .errors import CelError

_FOREIGN = re.compile(r"(?:[^\\]|^)(?:\\\\)*(\(\?(?:=|!|<=|<!|>|#|P=|\())")
_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*(\\[1-9])")


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Raises CelError in Go's words."""
    if found := _FOREIGN.search(pattern):
        raise CelError(f"error parsing regexp: invalid or unsupported Perl syntax: `{found[1]}`")
    if found := _REFERENCE.search(pattern):
        raise CelError(f"error parsing regexp: invalid escape sequence: `{found[1]}`")
    text = re.sub(r"\[\[:(\^?)(\w+):\]\]", lambda m: f"[{m[1]}{_CLASSES.get(m[2], m[2])}]", pattern)
    text = text.replace("\\z", "\\Z").replace("(?<", "(?P<")
    text = re.sub(r"(?<!\\)\$(?=$|\))", r"\\Z", text)  # Go's $ matches at the very end alone
    try:
        return re.compile(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise CelError(_words(pattern, str(error))) from None


_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "space": r"\t\n\v\f\r ",
    "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f", "punct": r"!-/:-@\[-`{-~", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f",
}  # fmt: skip


def _words(pattern: str, error: str) -> str:
    if error.startswith(("missing )", "unterminated subpattern")):
        return f"error parsing regexp: missing closing ): `{pattern}`"
    if error.startswith("unbalanced parenthesis"):
        return f"error parsing regexp: unexpected ): `{pattern}`"
    if error.startswith("unterminated character set"):
        return f"error parsing regexp: missing closing ]: `{pattern[pattern.rfind('[') :]}`"
    if error.startswith("nothing to repeat"):
        found = re.search(r"position (\d+)", error)
        at = int(found[1]) if found else 0
        return f"error parsing regexp: missing argument to repetition operator: `{pattern[at : at + 1]}`"
    if error.startswith("bad escape (end of pattern)"):
        return "error parsing regexp: trailing backslash at end of expression: ``"
    if error.startswith("bad escape"):
        return f"error parsing regexp: invalid escape sequence: `{error.split()[2]}`"
    return f"error parsing regexp: invalid or unsupported Perl syntax: `{pattern}`"
