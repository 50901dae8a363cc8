"""Help of `fit`, `shadow`, `attack` and `audit`: one page, or all options."""

import io
import shutil
import textwrap
from collections.abc import Callable
from contextlib import redirect_stdout, suppress

from lightning_mia.audit.option_check import parse
from lightning_mia.audit.option_index import OptionIndex, load_index, source_key
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import cache_root, write_text

PURPOSE = {
    "fit": "Train the target: the model that is audited, on its member set.",
    "shadow": "Train the shadow models, on known halves of the challenge set.",
    "attack": "Attack a trained model, or a checkpoint from elsewhere, and report.",
    "audit": "Train a model on a random half of your recordings, attack it, and report\n"
    "whether the attacks tell the training recordings from the others.",
}
MANIFEST = "--data.corpus.path M.csv --run_dir R"
EXAMPLES = {
    "fit": [f"fit -c audit/manifest {MANIFEST}", "fit -c pretrain/tera_tiny", "fit -c R/config.yaml"],
    "shadow": [
        f"shadow -c audit/shadows {MANIFEST}",
        "shadow -c R/config.yaml --fleet.size 32",
        "shadow -c R/config.yaml",
    ],
    "attack": [
        f"attack -c audit/manifest {MANIFEST}",
        "attack -c attack/checkpoint --model.checkpoint NAME",
        "attack -c R/config.yaml --attack_set all",
    ],
    "audit": [
        "audit -c audit/demo",
        f"audit -c audit/manifest {MANIFEST}",
        f"audit -c audit/shadows {MANIFEST}",
    ],
}
MAIN_OPTIONS = {
    "--run_dir R": "folder of the run; the same command completes what is missing there",
    "--data.corpus.path M.csv": "the manifest: CSV (id,path,speaker), JSON Lines or fairseq TSV",
    "--data.corpus NAME": "another corpus, such as Folder, Kaldi, LibriSpeech, VCTK",
    "--data.design.n_units N": "units (recordings or speakers) that are tested; half are members",
    "--data.design.n_auxiliary N": "units of the wrong-model control, in no member set",
    "--data.level LEVEL": "utterance or speaker, where the members are labelled already",
    "--data.split_seed N": "seed of the random draw of members",
    "--model NAME": "TERA, HuBERT, MelHuBERT, Wav2Vec2, CPC, CTC, PretrainedEncoder …",
    '--attacks "[A, B]"': "attacks to run, such as [PretextLoss, LiRA]",
    "--attack_set SET": "recommended (the default) or all",
    "--fleet.size N": "shadow models; 16 make the strongest attacks work; 0 trains none",
    "--fleet.workers N": "models trained at a time; auto: one per core, or several on a GPU",
    "--seed_everything N": "seed of weights and masks",
    "--trainer.max_epochs N": "passes over the members; leakage grows with them",
    "--trainer.accelerator NAME": "auto, cpu or gpu",
}
"""The fifteen options that most audits need."""

HELP_ALL = ("--help-all", "--help_all")
WIDTH = 80


def is_help(arguments: list[str]) -> bool:
    """Test whether a command line asks for help on a command."""
    return any(argument in ("-h", "--help", *HELP_ALL) for argument in arguments[1:])


def help_page(arguments: list[str], run: Callable[[list[str]], None]) -> str:
    """Return the help that a command line asks for.

    Args:
        arguments: command and options.
        run: runs a command line of this command.
    """
    command = arguments[0]
    if any(argument in HELP_ALL for argument in arguments):
        return all_options(command, run)
    given = parse([argument for argument in arguments if argument not in ("-h", "--help")])
    parts = [_short_page(command)]
    if given.configs or any(option.name in ("model", "data.corpus", "data.design") for option in given.options):
        index = load_index(command)
        if index is None:
            with redirect_stdout(io.StringIO()), suppress(SystemExit, InputError):
                run([command, "--model", "TERA", "--data.corpus", "SyntheticVoices", "--print_config"])
            index = load_index(command)
        if index:
            chosen = {option: given.class_of(option) for option in ("data.corpus", "data.design", "model")}
            parts += [_class_page(option, name, index) for option, name in chosen.items() if name]
    parts.append(
        f"`lightning-mia {command} --help-all` lists every option. With -c CONFIG, --help\n"
        "adds the options of the classes that the config names, and --print_config prints\nall values."
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def _short_page(command: str) -> str:
    examples = "\n".join(f"  lightning-mia {example}" for example in EXAMPLES[command])
    return (
        f"usage: lightning-mia {command} -c CONFIG [--option VALUE ...]\n\n{PURPOSE[command]}\n\n"
        f"examples:\n{examples}\n\noptions that matter:\n"
        + "\n".join([_entry("-c, --config CONFIG", "YAML file, or a name from `lightning-mia configs`")])
        + "\n"
        + "\n".join(_entry(name, text) for name, text in MAIN_OPTIONS.items())
    )


def _class_page(option: str, name: str, index: OptionIndex) -> str:
    """List the arguments of a class."""
    arguments = index.classes.get(option, {}).get(name)
    if arguments is None:
        return f"{name} is a class of yours: --{option}.help {name} lists its options."
    entries = [_entry(f"--{option}.{argument}", text) for argument, (_, text) in arguments.items()]
    return "\n".join([f"options of {name}:", *entries])


def _entry(name: str, text: str) -> str:
    column = 30
    lines = textwrap.wrap(text, WIDTH - column, break_long_words=False, break_on_hyphens=False) or [""]
    if len(name) > column - 4:
        return "\n".join([f"  {name}", *(" " * column + line for line in lines if line)])
    return "\n".join([f"  {name:<{column - 2}}{lines[0]}".rstrip(), *(" " * column + line for line in lines[1:])])


def all_options(command: str, run: Callable[[list[str]], None]) -> str:
    """Read the whole help of a command from the cache, or build it.

    Importing Lightning takes most of the time that this help takes.

    Args:
        command: the command.
        run: runs a command line of this command.
    """
    columns = shutil.get_terminal_size().columns
    path = f"{command}-{source_key()}-{columns}.txt"
    with suppress(OSError, ValueError, InputError):
        return (cache_root() / "help" / path).read_text(encoding="utf-8")
    output = io.StringIO()
    with redirect_stdout(output), suppress(SystemExit):
        run([command, "--help"])
    with suppress(OSError, InputError):
        write_text(cache_root() / "help" / path, output.getvalue())
    return output.getvalue()
