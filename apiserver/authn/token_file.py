"""``--token-auth-file``: a CSV file of ``token,user,uid[,"group1,group2"]`` lines."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from apiserver.http.request import User


class TokenFileError(ValueError):
    """The file is not what it should be; the message says where."""


def parse_token_file(lines: Iterable[str], source: str = "token auth file") -> dict[str, User]:
    """Token to user. Raises TokenFileError."""
    users: dict[str, User] = {}
    for number, record in enumerate(csv.reader(lines), start=1):
        if not record or (len(record) == 1 and not record[0].strip()) or record[0].startswith("#"):
            continue
        if len(record) < 3:
            columns = len(record)
            raise TokenFileError(
                f"{source}: line {number}: token file must have at least 3 columns (token, user name, user uid), found {columns}"
            )
        token, name, uid = (field.strip() for field in record[:3])
        if not token:
            raise TokenFileError(f"{source}: line {number}: empty token")
        groups = tuple(g.strip() for g in record[3].split(",") if g.strip()) if len(record) > 3 else ()
        users[token] = User(name, uid, groups)
    return users


class TokenFile:
    """Static tokens. They are read once: a change of the file needs a restart, as upstream's does."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users

    @classmethod
    def load(cls, path: Path) -> TokenFile:
        """Raises OSError and TokenFileError."""
        with path.open(newline="", encoding="utf-8") as file:
            return cls(parse_token_file(file, str(path)))

    async def authenticate_token(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        return self._users.get(token)
