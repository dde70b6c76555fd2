"""Tokens of a CEL source; what no token starts with is reported as ANTLR's lexer does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import Issue

_ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2})"
_STRING = (
    rf'(?:"""(?:{_ESCAPE}|[^\\])*?"""'
    rf"|'''(?:{_ESCAPE}|[^\\])*?'''"
    rf'|"(?:{_ESCAPE}|[^\\"\n\r])*"'
    rf"|'(?:{_ESCAPE}|[^\\'\n\r])*'"
    r'|[rR]"""[\s\S]*?"""'
    r"|[rR]'''[\s\S]*?'''"
    r'|[rR]"[^"\n\r]*"'
    r"|[rR]'[^'\n\r]*')"
)
_TOKEN = re.compile(
    r"(?P<SPACE>[\t \r\n\f]+|//[^\n]*)"
    r"|(?P<NUM_FLOAT>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<NUM_UINT>0x[0-9a-fA-F]+[uU]|\d+[uU])"
    r"|(?P<NUM_INT>0x[0-9a-fA-F]+|\d+)"
    rf"|(?P<BYTES>[bB]{_STRING})"
    rf"|(?P<STRING>{_STRING})"
    r"|(?P<ESC_IDENTIFIER>`[A-Za-z0-9_.\-/ ]+`)"
    r"|(?P<IDENTIFIER>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<OP>==|!=|<=|>=|&&|\|\||[<>\[\]{}().,\-!?:+*/%])",
    re.ASCII,
)
_KEYWORDS = {"true", "false", "null", "in"}


@dataclass(frozen=True, slots=True)
class Token:
    """kind is a lexer rule's name, or the text itself for operators and keywords."""

    kind: str
    text: str
    offset: int

    @property
    def shown(self) -> str:
        return "'<EOF>'" if self.kind == "<EOF>" else "'" + self.text.replace("\n", "\\n") + "'"


def tokenize(source: str) -> tuple[list[Token], list[Issue]]:
    tokens: list[Token] = []
    issues: list[Issue] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            end = _bad(source, at)
            issues.append(Issue(at, f"Syntax error: token recognition error at: '{source[at:end]}'"))
            at = end
            continue
        kind, text = str(found.lastgroup), found.group()
        if kind == "OP" or text in _KEYWORDS:
            kind = text
        if kind != "SPACE":
            tokens.append(Token(kind, text, at))
        at = found.end()
    tokens.append(Token("<EOF>", "<EOF>", len(source)))
    return tokens, issues


def _bad(source: str, at: int) -> int:
    """Where the characters that ANTLR reports together end: it has read on as long as some token could still come."""
    first = source[at]
    if first in "\"'":
        end = source.find("\n", at)
        return len(source) if end < 0 else end + 1
    if first in "=&|":
        return min(at + 1 + (first != "=" or False) * (at + 1 < len(source)), len(source))
    return at + 1


def unquote(text: str) -> str | bytes:
    """The value of a STRING or BYTES token. Raises ValueError for an escape that names no character."""
    is_bytes = text[0] in "bB"
    text = text[1:] if is_bytes else text
    raw = text[0] in "rR"
    text = text[1:] if raw else text
    width = 3 if text[:3] in ('"""', "'''") and len(text) >= 6 else 1
    body = text[width:-width].replace("\r\n", "\n").replace("\r", "\n")
    if raw:
        return body.encode() if is_bytes else body
    if not is_bytes:
        return re.sub(r"\\(x..|X..|u.{4}|U.{8}|[0-3]..|.)", lambda m: _character(m.group(1)), body, flags=re.S)
    out = bytearray()
    for piece in re.findall(r"\\(?:x..|X..|u.{4}|U.{8}|[0-3]..|.)|[^\\]+", body, flags=re.S):
        if piece[0] != "\\":
            out += piece.encode()
        elif piece[1] in "xX":
            out.append(int(piece[2:], 16))
        elif piece[1].isdigit():
            out.append(int(piece[1:], 8))
        else:
            out += _character(piece[1:]).encode()
    return bytes(out)


_SINGLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _character(escape: str) -> str:
    if escape[0] in "xXuU":
        code = int(escape[1:], 16)
        if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            raise ValueError("invalid unicode code point")
        return chr(code)
    return chr(int(escape, 8)) if escape[0] in "0123" else _SINGLE.get(escape, escape)
