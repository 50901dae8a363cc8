"""A quick `--help`: leave out what a parser does not need.

To build its parser, the command line needs the signatures of Lightning's Trainer and of our classes. Importing
Lightning also imports all of torchmetrics (which imports SciPy, Matplotlib and transformers) and TorchDynamo, which
takes twice as long as everything that is needed. Where the process only prints help or a config and exits, empty
placeholders stand in for them.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NOT_NEEDED = (
    "matplotlib",
    "pandas",
    "scipy",
    "tensorboard",
    "torch._dynamo",
    "torchmetrics",
    "transformers",
    "triton",
)
PARSER_ONLY = ("-h", "--help", "--print_config")


def only_parses(arguments: Sequence[str]) -> bool:
    """Whether these arguments print something about the command line and nothing else.

    >>> only_parses(["audit", "--print_config=skip_default"]), only_parses(["audit", "-c", "demo.yaml"])
    (True, False)
    >>> only_parses(["audit", "--data.corpus.help", "VCTK"])
    True
    """
    names = [argument.split("=")[0] for argument in arguments]
    return any(name in PARSER_ONLY or (name.startswith("--") and name.endswith(".help")) for name in names)


def install() -> None:
    """Let empty modules stand in for what is not needed; for a process that will do nothing else."""
    sys.meta_path.insert(0, _Finder())


class _Empty:
    """Stands in for a class to inherit from, and for a decorator."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __call__(self, decorated: object) -> object:
        return decorated


class _Placeholder(ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        placeholder = type(name, (_Empty,), {"__module__": self.__name__})
        setattr(self, name, placeholder)
        return placeholder


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.startswith(tuple(f"{package}." for package in NOT_NEEDED)) or name in NOT_NEEDED:
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Placeholder(spec.name)  # the import system makes it a package, as the spec says

    def exec_module(self, module: ModuleType) -> None:
        pass
