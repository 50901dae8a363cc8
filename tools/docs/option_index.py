"""Write the index of options that the package ships.

    python -m tools.docs.option_index

Run it when an option, or an argument of a model, corpus, design or attack, has changed.
"""

from lightning_mia.audit.commands import COMMANDS
from lightning_mia.audit.option_index import SHIPPED, index_of, shippable
from tools.docs.cli_reference import command_parser


def content() -> str:
    """Make the index from the parsers."""
    return shippable({command: index_of(command_parser(command)) for command in COMMANDS})


if __name__ == "__main__":
    SHIPPED.write_text(content(), encoding="utf-8")
    print(SHIPPED)
