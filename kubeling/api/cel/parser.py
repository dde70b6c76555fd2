"""Source to tree: recursive descent with ANTLR's complaints, and the macros expanded on the way."""

from __future__ import annotations

from . import macros
from .errors import CompileError, Issue
from .lexer import Token, tokenize, unquote
from .syntax import Call, Const, Entry, Ident, ListNode, MapNode, Node, Select, Struct, qualified_name
from .values import UInt

_WORDS = "as break const continue else false for function if import in let loop package namespace null return true var void while"
RESERVED = frozenset(_WORDS.split())
_STARTS = frozenset(
    [
        "[",
        "{",
        "(",
        ".",
        "-",
        "!",
        "true",
        "false",
        "null",
        "NUM_FLOAT",
        "NUM_INT",
        "NUM_UINT",
        "STRING",
        "BYTES",
        "IDENTIFIER",
    ]
)
_FOLLOW = frozenset(
    ["==", "!=", "<", "<=", ">", ">=", "in", "+", "*", "/", "%", "&&", "||", "?", ":", ",", ")", "]", "}", "<EOF>"]
)
_RELATIONS = frozenset(["<", "<=", ">=", ">", "==", "!=", "in"])
_OPERAND = (
    "'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER"
)
MAX_DEPTH = 100
MAX_ISSUES = 30


class Abort(Exception):
    """Nothing sensible can be said about the rest of the source."""


def parse(source: str, *, bindings: bool = False) -> Node:
    """The tree of a source. ``bindings``: with ``cel.bind``. Raises CompileError with every issue found."""
    parser = Parser(source, bindings)
    return parser.parse()


class Parser:
    def __init__(self, source: str, bindings: bool) -> None:
        self.source, self.bindings = source, bindings
        self.tokens, self.issues = tokenize(source)
        self.at = self.depth = 0

    def parse(self) -> Node:
        tree: Node = Const(0, None)
        try:
            tree = self.expression()
            self.end()
        except Abort:
            pass
        if self.issues:
            raise CompileError(self.source, self.issues)
        return tree

    def end(self) -> None:
        if self.token.kind == "<EOF>":
            return
        wanted = "<EOF>"
        if self.tokens[self.at + 1].kind == "<EOF>":
            self.syntax(f"extraneous input {self.token.shown} expecting {wanted}")
        else:
            self.syntax(f"mismatched input {self.token.shown} expecting {wanted}")

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def error(self, offset: int, message: str) -> None:
        self.issues.append(Issue(offset, message))
        if len(self.issues) > MAX_ISSUES:
            raise Abort

    def syntax(self, message: str) -> None:
        self.error(self.token.offset, f"Syntax error: {message}")

    def take(self, *kinds: str) -> Token | None:
        token = self.token
        if token.kind in kinds:
            self.at += 1
            return token
        return None

    def expect(self, kind: str) -> None:
        if self.take(kind):
            return
        following = self.tokens[min(self.at + 1, len(self.tokens) - 1)].kind
        if self.token.kind != "<EOF>" and following == kind:
            self.syntax(f"extraneous input {self.token.shown} expecting '{kind}'")
            self.at += 2
        elif self.token.kind in _FOLLOW:
            self.syntax(f"missing '{kind}' at {self.token.shown}")
        else:
            self.syntax(f"mismatched input {self.token.shown} expecting '{kind}'")
            raise Abort

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.error(self.token.offset, f"expression recursion limit exceeded: {MAX_DEPTH}")
            raise Abort
        try:
            value = self.logical("||", "_||_", lambda: self.logical("&&", "_&&_", self.relation))
            if op := self.take("?"):
                yes = self.logical("||", "_||_", lambda: self.logical("&&", "_&&_", self.relation))
                self.expect(":")
                value = Call(op.offset, "_?_:_", [value, yes, self.expression()])
            return value
        finally:
            self.depth -= 1

    def logical(self, text: str, function: str, below) -> Node:  # type: ignore[no-untyped-def]
        """A chain of one operator becomes a balanced tree, as cel-go builds it, so that long chains stay shallow."""
        terms, ops = [below()], []
        while op := self.take(text):
            ops.append(op.offset)
            terms.append(below())
        return _balance(function, terms, ops)

    def relation(self) -> Node:
        value = self.sum()
        while self.token.kind in _RELATIONS:
            op = self.token
            self.at += 1
            value = Call(op.offset, "@in" if op.kind == "in" else f"_{op.kind}_", [value, self.sum()])
        return value

    def sum(self) -> Node:
        value = self.product()
        while op := self.take("+", "-"):
            value = Call(op.offset, f"_{op.kind}_", [value, self.product()])
        return value

    def product(self) -> Node:
        value = self.unary()
        while op := self.take("*", "/", "%"):
            value = Call(op.offset, f"_{op.kind}_", [value, self.unary()])
        return value

    def unary(self) -> Node:
        op = self.take("!", "-")
        if op is None:
            return self.member()
        number = self.token
        if op.kind == "-" and number.kind in ("NUM_INT", "NUM_FLOAT"):
            return self.members(self.number("-"))
        count = 1
        while self.take(op.kind):
            count += 1
        value = self.member()
        return value if count % 2 == 0 else Call(op.offset, "!_" if op.kind == "!" else "-_", [value])

    def member(self) -> Node:
        return self.members(self.primary())

    def members(self, value: Node) -> Node:
        while op := self.take(".", "[", "{"):
            if op.kind == ".":
                value = self.select(value, op)
            elif op.kind == "[":
                optional = self.take("?")
                index = self.expression()
                self.expect("]")
                value = Call(op.offset, "_[?_]" if optional else "_[_]", [value, index])
            else:
                value = self.struct(value, op)
        return value

    def select(self, value: Node, op: Token) -> Node:
        optional = self.take("?")
        name = self.take("IDENTIFIER", "ESC_IDENTIFIER")
        if name is None:
            self.syntax(f"no viable alternative at input '.{'' if self.token.kind == '<EOF>' else self.token.text}'")
            self.at += self.token.kind != "<EOF>"
            return value
        field = name.text.strip("`")
        if optional:
            return Call(op.offset, "_?._", [value, Const(name.offset, field)])
        opened = self.take("(") if name.kind == "IDENTIFIER" else None
        if opened is None:
            return Select(op.offset, value, field)
        return self.expand(Call(opened.offset, field, self.arguments(), value))

    def struct(self, value: Node, op: Token) -> Node:
        name = qualified_name(value)
        if name is None:
            self.at -= 1
            self.syntax(f"mismatched input {self.token.shown} expecting <EOF>")
            raise Abort
        entries = []
        while self.token.kind != "}":
            optional = self.take("?") is not None
            field = self.take("IDENTIFIER", "ESC_IDENTIFIER")
            if field is None:
                self.syntax(
                    f"mismatched input {self.token.shown} expecting {{'}}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}}"
                )
                raise Abort
            colon = self.token.offset
            self.expect(":")
            entries.append(Entry(colon, field.text.strip("`"), self.expression(), optional))
            if not self.take(","):
                break
        self.expect("}")
        return Struct(op.offset, name, entries)

    def arguments(self) -> list[Node]:
        args: list[Node] = []
        if self.take(")"):
            return args
        args.append(self.expression())
        while self.take(","):
            args.append(self.expression())
        self.expect(")")
        return args

    def primary(self) -> Node:
        token = self.token
        if token.kind not in _STARTS:
            return self.misplaced()
        if token.kind in ("NUM_INT", "NUM_UINT", "NUM_FLOAT"):
            return self.number("")
        self.at += 1
        if token.kind in ("true", "false", "null"):
            return Const(token.offset, {"true": True, "false": False, "null": None}[token.kind])
        if token.kind in ("STRING", "BYTES"):
            try:
                return Const(token.offset, unquote(token.text))
            except ValueError as error:
                self.error(token.offset, f"{error}")
                return Const(token.offset, "")
        if token.kind == "(":
            value = self.expression()
            self.expect(")")
            return value
        if token.kind == "[":
            return self.list(token)
        return self.map(token) if token.kind == "{" else self.name(token)

    def misplaced(self) -> Node:
        """An operand is missing. One token too many is passed over; else the operators that follow go on."""
        token = self.token
        following = self.tokens[self.at + 1].kind if token.kind != "<EOF>" else "<EOF>"
        if following in _STARTS:
            self.syntax(f"extraneous input {token.shown} expecting {{{_OPERAND}}}")
            self.at += 1
            return self.primary()
        self.syntax(f"mismatched input {token.shown} expecting {{{_OPERAND}}}")
        while self.token.kind not in _FOLLOW:
            self.at += 1
        return Const(token.offset, None)

    def number(self, sign: str) -> Node:
        token = self.token
        offset = self.tokens[self.at - 1].offset if sign else token.offset
        self.at += 1
        text = sign + token.text
        if token.kind == "NUM_FLOAT":
            return Const(offset, float(text))
        value = int(text.rstrip("uU"), 16 if "0x" in text else 10)
        if token.kind == "NUM_UINT":
            if value >= 1 << 64:
                self.error(offset, "invalid uint literal")
            return Const(offset, UInt(value))
        if not -(1 << 63) <= value < 1 << 63:
            self.error(offset, "invalid int literal")
        return Const(offset, value)

    def list(self, token: Token) -> Node:
        node = ListNode(token.offset, [])
        while self.token.kind != "]":
            if self.take("?"):
                node.optional.add(len(node.items))
            node.items.append(self.expression())
            if not self.take(","):
                break
        self.expect("]")
        return node

    def map(self, token: Token) -> Node:
        node = MapNode(token.offset, [])
        while self.token.kind != "}":
            optional = self.take("?") is not None
            key = self.expression()
            colon = self.token.offset
            self.expect(":")
            node.entries.append(Entry(colon, key, self.expression(), optional))
            if not self.take(","):
                break
        self.expect("}")
        return node

    def name(self, token: Token) -> Node:
        dot = ""
        if token.kind == ".":
            dot = "."
            found = self.take("IDENTIFIER")
            if found is None:
                self.syntax(f"mismatched input {self.token.shown} expecting IDENTIFIER")
                raise Abort
            token = found
        if token.text in RESERVED:
            self.error(token.offset, f"reserved identifier: {token.text}")
        opened = self.take("(")
        if opened is None:
            return Ident(token.offset, dot + token.text)
        return self.expand(Call(opened.offset, dot + token.text, self.arguments()))

    def expand(self, call: Call) -> Node:
        macro = macros.find(call, self.bindings)
        if macro is None:
            return call
        try:
            return macro(call)
        except macros.MacroError as error:
            self.error(error.offset, str(error))
            return call


def _balance(function: str, terms: list[Node], ops: list[int]) -> Node:
    if len(terms) == 1:
        return terms[0]
    middle = len(ops) // 2
    left = _balance(function, terms[: middle + 1], ops[:middle])
    right = _balance(function, terms[middle + 1 :], ops[middle + 1 :])
    return Call(ops[middle], function, [left, right])
