"""The syntax errors of Go's encoding/json, word for word: a scanner that only finds the first mistake."""

from __future__ import annotations

_SPACE = b" \t\r\n"
_HEX = b"0123456789abcdefABCDEF"
_DIGITS = b"0123456789"
_END = "unexpected end of JSON input"
MAX_DEPTH = 10_000


class _Failure(Exception):
    pass


def syntax_error(text: bytes) -> str:
    """Go's message for the first syntax error of a JSON text, empty when there is none."""
    scanner = _Scanner(text)
    try:
        scanner.document()
    except _Failure as failure:
        return str(failure)
    return ""


def quote_char(char: int) -> str:
    """A byte as Go shows it in these errors."""
    if char == ord("'"):
        return r"'\''"
    if char == ord('"'):
        return "'\"'"
    if char == ord("\\"):
        return r"'\\'"
    named = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r"}
    if char in named:
        return f"'\\{named[char]}'"
    if char < 0x20 or char == 0x7F:
        return f"'\\x{char:02x}'"
    if 0x80 <= char < 0xA1 or char == 0xAD:
        return f"'\\u{char:04x}'"
    return f"'{chr(char)}'"


class _Scanner:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0

    def _fail(self, context: str) -> _Failure:
        if self.at >= len(self.text):
            return _Failure(_END)
        return _Failure(f"invalid character {quote_char(self.text[self.at])} {context}")

    def _space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def _peek(self) -> int:
        return self.text[self.at] if self.at < len(self.text) else -1

    def document(self) -> None:
        self._space()
        self._value()
        self._space()
        if self.at < len(self.text):
            raise self._fail("after top-level value")

    def _value(self) -> None:
        """One value; containers are kept on a stack of our own, so depth costs no recursion."""
        stack: list[int] = []
        while True:
            opened = self._opening(stack)
            if opened:
                continue
            if not self._closing(stack):
                return

    def _opening(self, stack: list[int]) -> bool:
        """Reads the start of a value. True: a non-empty container was opened and its first value comes next."""
        char = self._peek()
        if char in (ord("{"), ord("[")):
            if len(stack) >= MAX_DEPTH:
                raise _Failure("exceeded max depth")
            self.at += 1
            self._space()
            if char == ord("{"):
                if self._peek() == ord("}"):
                    self.at += 1
                    return False
                self._key("looking for beginning of object key string")
            elif self._peek() == ord("]"):
                self.at += 1
                return False
            stack.append(char)
            return True
        self._scalar(char)
        return False

    def _closing(self, stack: list[int]) -> bool:
        """After a value: separators and ends. True: another value comes; False: the outermost value is complete."""
        while stack:
            self._space()
            char, container = self._peek(), stack[-1]
            if char == ord(","):
                self.at += 1
                self._space()
                if container == ord("{"):
                    self._key("looking for beginning of object key string")
                return True
            if char != (ord("}") if container == ord("{") else ord("]")):
                raise self._fail("after object key:value pair" if container == ord("{") else "after array element")
            self.at += 1
            stack.pop()
        return False

    def _key(self, context: str) -> None:
        if self._peek() != ord('"'):
            raise self._fail(context)
        self._string()
        self._space()
        if self._peek() != ord(":"):
            raise self._fail("after object key")
        self.at += 1
        self._space()

    def _scalar(self, char: int) -> None:
        if char == ord('"'):
            self._string()
        elif char != -1 and (char in _DIGITS or char == ord("-")):
            self._number()
        elif char != -1 and char in b"tfn":
            self._literal({ord("t"): "true", ord("f"): "false", ord("n"): "null"}[char])
        else:
            raise self._fail("looking for beginning of value")

    def _literal(self, word: str) -> None:
        for position, expected in enumerate(word):
            if self._peek() != ord(expected):
                raise self._fail(f"in literal {word} (expecting {quote_char(ord(expected))})" if position else "")
            self.at += 1

    def _string(self) -> None:
        self.at += 1
        while True:
            char = self._peek()
            if char == -1:
                raise _Failure(_END)
            if char == ord('"'):
                self.at += 1
                return
            if char < 0x20:
                raise self._fail("in string literal")
            self.at += 1
            if char == ord("\\"):
                self._escape()

    def _escape(self) -> None:
        char = self._peek()
        if char == -1 or char not in b'bfnrt\\/"u':
            raise self._fail("in string escape code")
        self.at += 1
        if char == ord("u"):
            for _ in range(4):
                if self._peek() == -1 or self._peek() not in _HEX:
                    raise self._fail("in \\u hexadecimal character escape")
                self.at += 1

    def _number(self) -> None:
        if self._peek() == ord("-"):
            self.at += 1
            if self._peek() == -1 or self._peek() not in _DIGITS:
                raise self._fail("in numeric literal")
        if self._peek() == ord("0"):
            self.at += 1
        else:
            self._digits()
        if self._peek() == ord("."):
            self.at += 1
            self._some_digits("after decimal point in numeric literal")
        if self._peek() in (ord("e"), ord("E")):
            self.at += 1
            if self._peek() in (ord("+"), ord("-")):
                self.at += 1
            self._some_digits("in exponent of numeric literal")

    def _some_digits(self, context: str) -> None:
        if self._peek() == -1 or self._peek() not in _DIGITS:
            raise self._fail(context)
        self._digits()

    def _digits(self) -> None:
        while self._peek() != -1 and self._peek() in _DIGITS:
            self.at += 1
