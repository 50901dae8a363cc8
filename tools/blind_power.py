"""Measure what the blind baselines detect, on real speech.

OMP_NUM_THREADS=1 python tools/blind_power.py corpus.csv

Half of each speaker's recordings have a property: they were altered, or have certain words, or come early in the
manifest. A recording with it is a member with probability p, one without it with probability 1 − p, so that an oracle
who sees the property has AUROC p. Statistics of original and altered recordings are computed once. Every draw takes
other recordings and labels, redraws the labels within speakers and refits the classifiers. A split is refused if a
p-value, corrected for the number of classifiers, is below .05, as for user-supplied splits; the last columns also
count clean splits that are refused because of the upper bound.

Prints a table in Markdown. A property that every draw detects is taken to be detected by a better oracle too.
"""

import argparse
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from lightning_mia.audit.blind_kinds import blind_name
from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.evaluation import BlindResult, EvaluationSettings, evaluate_blind
from lightning_mia.evaluation.blind_verdict import BLIND_ALPHA_USER_SUPPLIED, blind_obstacle
from lightning_mia.evaluation.statistics.permutation import NullDistribution, corrected_p_values
from lightning_mia.splits.blind_baseline.classifier import BlindBaseline, fit_blind_baselines
from lightning_mia.splits.blind_baseline.content import content_statistics
from lightning_mia.splits.blind_baseline.metadata import metadata_statistics
from lightning_mia.splits.blind_baseline.statistics import waveform_statistics
from lightning_mia.splits.sampling.membership import permute_within_strata
from tools.blind_alterations import ALTERATIONS, BY_SPEAKER, RATE

SESSION = 10  # consecutive recordings of a speaker
ORACLES = (0.6, 0.7, 0.8, 0.95)
SIZES = (200, 400, 1200)  # members and non-members together
KIND_OF = {"within": "acoustics"}  # of a second classifier's statistics
Tables = dict[str, pd.DataFrame]
Property = Callable[[pd.DataFrame, np.random.Generator], np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", help="real speech with transcripts")
    parser.add_argument("--pool", type=int, default=1200, help="recordings to draw from, equally many of every speaker")
    parser.add_argument("--draws", type=int, default=20, help="draws per cell")
    parser.add_argument("--clean_draws", type=int, default=200, help="draws of clean splits per size")
    parser.add_argument("--redraws", type=int, default=199, help="label redraws per draw")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="members and non-members together")
    parser.add_argument("--only", nargs="+", help="alterations to measure; default: all")
    arguments = parser.parse_args()
    table = sample(Manifest(arguments.manifest).table(), arguments.pool)
    audio = decode(table)
    sizes = [size for size in arguments.sizes if size <= len(table)]
    power = Power(table, audio, arguments.redraws)
    print(f"{len(table)} recordings of {table['speaker'].nunique()} speakers; {arguments.draws} draws per cell,")
    print(f"{arguments.clean_draws} of clean splits; {arguments.redraws} redraws each.\n")
    print(
        "| | " + " | ".join(f"{size // 2} + {size // 2}, {oracle:.2g}" for size in sizes for oracle in ORACLES) + " |"
    )
    print("|---|" + "--:|" * len(sizes) * len(ORACLES))
    for name in arguments.only or [*PROPERTIES, *TABLE_CHANGES, *ALTERATIONS, *BY_SPEAKER]:
        cells = [cell for size in sizes for cell in power.row(name, size, arguments.draws)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("\n| clean splits | p < .05 | refused |\n|---|--:|--:|")
    for size in sizes:
        significant, refused = power.clean(size, arguments.clean_draws)
        print(f"| {size // 2} + {size // 2} | {significant:.1%} | {refused:.1%} |", flush=True)
    return 0


def sample(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """Choose recordings of every speaker; add sessions."""
    per_speaker = max(1, n // table["speaker"].nunique())
    generator = np.random.default_rng(0)
    kept = [rows.sample(min(len(rows), per_speaker), random_state=generator) for _, rows in table.groupby("speaker")]
    table = pd.concat(kept).sort_index().reset_index(drop=True)
    place = table.groupby("speaker").cumcount()
    return table.assign(session=(place // SESSION).astype(str))


# Properties of recordings as they are.


def early(table: pd.DataFrame, _: np.random.Generator) -> np.ndarray:
    return (table.groupby("speaker").cumcount() < table.groupby("speaker")["id"].transform("size") / 2).to_numpy()


def certain_words(table: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    """Whether the first word is in a random half of the vocabulary."""
    words, word = np.unique([text.split(" ")[0] for text in table["text"]], return_inverse=True)
    return (generator.permutation(len(words)) < len(words) / 2)[word]


def certain_sessions(table: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    sessions, session = np.unique(table["speaker"] + "/" + table["session"], return_inverse=True)
    return (generator.permutation(len(sessions)) < len(sessions) / 2)[session]


PROPERTIES: dict[str, Property] = {
    "words": certain_words,
    "session order": early,
    "sessions": certain_sessions,
}

# Changes of the manifest.


def other_folder(path: str) -> str:
    return str(Path(path).parent / "other" / Path(path).name)


def other_name(path: str) -> str:
    return str(Path(path).with_stem(f"{Path(path).stem}_new"))


def other_container(path: str) -> str:
    return str(Path(path).with_suffix(".wav"))


TABLE_CHANGES: dict[str, Callable[[str], str]] = {
    "folder": other_folder,
    "name of the file": other_name,
    "container": other_container,
}


class Power:
    """Draws splits of one pool and counts refusals.

    Args:
        table: the pool.
        audio: its decoded audio.
        n_redraws: redraws of the labels of each draw.
    """

    def __init__(self, table: pd.DataFrame, audio: AudioCache, n_redraws: int) -> None:
        self.table, self.audio, self.n_redraws = table, audio, n_redraws
        ids = list(table["id"])
        content = content_statistics(audio.texts, ids)
        self.clean_tables: Tables = {"acoustics": self._measure(None), "metadata": metadata_statistics(table, ids)}
        if content is not None:
            self.clean_tables["content"] = content
        self._unaltered: dict[tuple[int, float, int], dict[str, np.ndarray]] = {}  # AUROCs of each draw

    def row(self, name: str, size: int, n_draws: int) -> Iterator[str]:
        """Count refused draws for every oracle."""
        tables = self._altered(name)
        all_refused = False
        for oracle in ORACLES:
            if all_refused:
                yield f"{n_draws}"
                continue
            draws = tqdm(range(n_draws), f"{name}, {size}, {oracle}", leave=False, disable=not sys.stderr.isatty())
            refused = sum(self._draw(name, tables, size, oracle, seed)[0] < BLIND_ALPHA_USER_SUPPLIED for seed in draws)
            all_refused = refused == n_draws
            yield f"{refused}"

    def clean(self, size: int, n_draws: int) -> tuple[float, float]:
        """Return shares of clean splits with p < .05, and refused."""
        draws = [self._draw("", self.clean_tables, size, 0.5, 1000 + seed) for seed in range(n_draws)]
        significant = [p < BLIND_ALPHA_USER_SUPPLIED for p, _ in draws]
        return float(np.mean(significant)), float(np.mean([refused for _, refused in draws]))

    def _draw(self, name: str, tables: Tables, size: int, oracle: float, seed: int) -> tuple[float, bool]:
        """Draw a split; return its p-value and, if clean, whether it is refused."""
        generator = np.random.default_rng([size, seed])
        chosen = np.sort(self._choose(size, generator))
        pool = self.table.iloc[chosen].reset_index(drop=True)
        if name in PROPERTIES:
            having = PROPERTIES[name](pool, generator)
        else:
            speakers = pool["speaker"].to_numpy()
            having = permute_within_strata(np.arange(size) % 2 == 0, _codes(speakers), 1, generator)[0]
        members = generator.random(size) < np.where(having, oracle, 1 - oracle)
        strata = _codes(pool["speaker"].to_numpy())
        redraws = permute_within_strata(members, strata, self.n_redraws, generator)
        ids = pool["id"].to_numpy()
        challenge = pd.DataFrame({"id": ids, "unit_id": ids, "speaker": pool["speaker"], "member": members})
        changed = [kind for kind in tables if name in PROPERTIES or tables[kind] is not self.clean_tables[kind]]
        key = size, oracle, seed
        if name and not changed:
            raise ValueError(f"{name} changes nothing")
        known = {} if name in PROPERTIES else self._unaltered.setdefault(key, {})
        needed = {
            kind: self._mixed(kind, tables[kind], ids, having)
            for kind in tables
            if kind in changed or kind not in known
        }
        fits = fit_blind_baselines(needed, challenge, redraws, "utterance")
        aurocs = {kind: fit.aurocs for kind, fit in fits.items()}  # sizes with which single statistics are not tested
        known |= {kind: values for kind, values in aurocs.items() if KIND_OF.get(kind, kind) not in changed}
        nulls = {kind: NullDistribution(values, two_sided=False) for kind, values in (known | aurocs).items()}
        p_values = dict(zip(nulls, corrected_p_values(list(nulls.values())), strict=True))
        refused = not name and blind_obstacle(_results(fits, p_values), drawn=False)
        return min(p_values.values()), bool(refused)

    def _mixed(self, kind: str, altered: pd.DataFrame, ids: np.ndarray, having: np.ndarray) -> pd.DataFrame:
        clean = self.clean_tables[kind].loc[ids]
        if altered is self.clean_tables[kind]:
            return clean
        return clean.mask(np.repeat(having[:, None], clean.shape[1], axis=1), altered.loc[ids, clean.columns])

    def _choose(self, size: int, generator: np.random.Generator) -> np.ndarray:
        """Choose recordings, equally many of every speaker."""
        order = generator.permutation(len(self.table))
        place = self.table["speaker"].iloc[order].groupby(self.table["speaker"].iloc[order]).cumcount().to_numpy()
        return order[np.argsort(place, kind="stable")[:size]]

    def _altered(self, name: str) -> Tables:
        """Return the statistics of the pool if all recordings have the property."""
        tables, ids = dict(self.clean_tables), list(self.table["id"])
        if name in TABLE_CHANGES:
            both = self.table.assign(path=self.table["path"].map(TABLE_CHANGES[name]), id="changed " + self.table["id"])
            doubled = metadata_statistics(pd.concat([self.table, both]), [*ids, *both["id"]])
            same = self.clean_tables["metadata"]
            changed = doubled.iloc[len(ids) :].set_axis(same.index)
            names = [
                column for column in map(str, doubled) if column not in ("row", "id_order") and "_of_" not in column
            ]
            tables["metadata"] = changed[names].join(same[[name for name in map(str, same) if name not in names]])
            self._add_columns("metadata", doubled.iloc[: len(ids)].set_axis(same.index))
            tables["metadata"] = tables["metadata"].reindex(columns=self.clean_tables["metadata"].columns, fill_value=0)
        elif name in ALTERATIONS or name in BY_SPEAKER:
            tables["acoustics"] = self._measure(name)
        return tables

    def _add_columns(self, kind: str, table: pd.DataFrame) -> None:
        """Add columns that only altered recordings vary in."""
        clean = self.clean_tables[kind]
        new = [column for column in table if column not in clean]
        self.clean_tables[kind] = clean.join(table[new])

    def _measure(self, name: str | None) -> pd.DataFrame:
        """Compute the acoustic statistics of original or altered recordings."""
        rows = []
        for number, (utterance, speaker) in enumerate(self.table[["id", "speaker"]].to_numpy(str)):
            waveform = self.audio.waveform(utterance)
            if name in BY_SPEAKER:
                generator = np.random.default_rng([1, zlib.crc32(speaker.encode())])
                waveform = BY_SPEAKER[name](waveform.astype(np.float64), generator)
            elif name is not None:
                waveform = ALTERATIONS[name](waveform.astype(np.float64), np.random.default_rng([1, number]))
            samples = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.float32) / np.float32(32768)
            rows.append({"duration_s": len(samples) / RATE, **waveform_statistics(samples)})
        return pd.DataFrame(rows, index=list(self.table["id"]))


def _codes(speakers: Sequence[str] | np.ndarray) -> np.ndarray:
    return np.unique(speakers, return_inverse=True)[1]


def _results(fits: dict[str, BlindBaseline], p_values: dict[str, float]) -> list[BlindResult]:
    settings = EvaluationSettings()
    results = []
    for kind, fit in fits.items():
        scores = replace(fit.scores, name=blind_name(kind))
        control = evaluate_blind(scores, fit.redrawn_aurocs, fit.redrawn_advantages, settings)
        results.append(replace(control, result=replace(control.result, p_value_corrected=p_values[kind])))
    return results


if __name__ == "__main__":
    sys.exit(main())
