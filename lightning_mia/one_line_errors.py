"""Command lines and configs that cannot be used are told in one line."""

from typing import NoReturn

from lightning_mia.errors import InputError


class OneLineErrors:
    """Makes an argument parser raise an `InputError` instead of printing its usage and exiting."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `message` as one line."""
        raise InputError(" ".join(message.split())) from ex
