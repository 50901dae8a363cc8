"""Run the scenarios of docs/verdicts.md, and print their verdicts.

OMP_NUM_THREADS=1 python -m tools.verdict_scenarios [--docs docs/verdicts.md]

Each scenario is prepared in a temporary folder: short recordings of the built-in voices, a manifest, sometimes an
attack with planted scores. Then the real command runs there. The output is Markdown: command and printed verdict. With
--docs, these blocks replace those of the page.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from lightning_mia.corpora import Corpus, Manifest, SyntheticVoices
from tools.verdict_scenarios.page import block, replace_block
from tools.verdict_scenarios.run import run
from tools.verdict_scenarios.scenarios import SCENARIOS
from tools.verdict_scenarios.workshop import Workshop


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", help="manifest of 60 or more speakers, instead of the built-in voices")
    parser.add_argument("--only", nargs="+", default=[], help="rows of the page, such as 1 13")
    parser.add_argument("--docs", type=Path, help="page whose blocks are replaced")
    parser.add_argument("--folder", type=Path, help="folder that keeps the runs; by default a temporary one")
    arguments = parser.parse_args()
    page = arguments.docs.resolve() if arguments.docs else None
    corpus: Corpus = Manifest(os.path.abspath(arguments.manifest)) if arguments.manifest else built_in()
    with tempfile.TemporaryDirectory() as temporary:
        shop = Workshop(corpus, (arguments.folder or Path(temporary)).resolve())
        for scenario in SCENARIOS:
            if arguments.only and scenario.row not in arguments.only:
                continue
            start = time.monotonic()
            text = block(scenario.name, *run(scenario, shop))
            print(f"{text}\n", flush=True)
            print(f"{scenario.name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            if page:
                page.write_text(replace_block(page.read_text(encoding="utf-8"), scenario.name, text), encoding="utf-8")
    return 0


def built_in() -> Corpus:
    return SyntheticVoices(n_speakers=64, utterances_per_speaker=10)


if __name__ == "__main__":
    sys.exit(main())
