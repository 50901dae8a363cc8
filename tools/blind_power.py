"""Measure what the blind baselines detect, on real speech.

OMP_NUM_THREADS=1 python tools/blind_power.py corpus.csv

Half of each speaker's recordings have a property: they were altered, or have certain words, or come early in the
manifest. A recording with it is a member with probability p, one without it with probability 1 − p, so that an oracle
who sees the property has AUROC p. Statistics of original and altered recordings are computed once. Every draw takes
other recordings and labels, redraws the labels within speakers and refits the classifiers. A split is refused if a
p-value, corrected for the number of classifiers, is below .05, as for user-supplied splits. A second table counts clean
splits that are refused, because of a p-value or the upper bound, by the blind baseline of acoustics alone and by all.

Prints a table in Markdown. A property that every draw detects is taken to be detected by a better oracle too.
"""

import argparse
import hashlib
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
from lightning_mia.splits.blind_baseline import fine_statistics, short_time, statistics
from lightning_mia.splits.blind_baseline.classifier import BlindBaseline, fit_blind_baselines
from lightning_mia.splits.blind_baseline.content import content_statistics
from lightning_mia.splits.blind_baseline.fine_statistics import faint_traces
from lightning_mia.splits.blind_baseline.metadata import metadata_statistics
from lightning_mia.splits.blind_baseline.statistics import waveform_statistics
from lightning_mia.splits.sampling.membership import permute_within_strata
from tools import blind_alterations
from tools.blind_alterations import ALTERATIONS, BY_SPEAKER, RATE

SESSION = 10  # consecutive recordings of a speaker
ORACLES = (0.6, 0.7, 0.8, 0.95)
SIZES = (200, 400, 1200)  # members and non-members together
KIND_OF = {"within": "acoustics"}  # of a second classifier's statistics
MEASURING = (statistics, fine_statistics, short_time, blind_alterations)
Tables = dict[str, pd.DataFrame]
Property = Callable[[pd.DataFrame, np.random.Generator], np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", help="real speech with transcripts")
    parser.add_argument("--pool", type=int, default=1200, help="recordings to draw from, equally many of every speaker")
    parser.add_argument("--draws", type=int, default=20, help="draws per cell; 0: no table of properties")
    parser.add_argument("--clean_draws", type=int, default=200, help="draws of clean splits per size; 0: none")
    parser.add_argument("--redraws", type=int, default=199, help="label redraws per draw")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="members and non-members together")
    parser.add_argument("--cache", type=Path, help="folder that keeps the statistics of recordings for the next run")
    parser.add_argument("--only", nargs="+", help="alterations to measure; default: all")
    arguments = parser.parse_args()
    table = sample(Manifest(arguments.manifest).table(), arguments.pool)
    audio = decode(table)
    sizes = [size for size in arguments.sizes if size <= len(table)]
    power = Power(table, audio, arguments.redraws, arguments.cache)
    print(f"{len(table)} recordings of {table['speaker'].nunique()} speakers; {arguments.redraws} redraws per draw.\n")
    if arguments.draws:
        print_power(power, arguments.only or ALL, sizes, arguments.draws)
    if arguments.clean_draws:
        print_clean(power, sizes, arguments.clean_draws)
    return 0


def print_power(power: "Power", names: Sequence[str], sizes: Sequence[int], n_draws: int) -> None:
    print(
        "| | " + " | ".join(f"{size // 2} + {size // 2}, {oracle:.2g}" for size in sizes for oracle in ORACLES) + " |"
    )
    print("|---|" + "--:|" * len(sizes) * len(ORACLES))
    for name in names:
        cells = [cell for size in sizes for cell in power.row(name, size, n_draws)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def print_clean(power: "Power", sizes: Sequence[int], n_draws: int) -> None:
    print("\n| clean splits | acoustics alone: p < .05 | refused | all controls: p < .05 | refused |")
    print(f"|---|{'--:|' * 4}")
    for size in sizes:
        shares = power.clean(size, n_draws)
        print(f"| {size // 2} + {size // 2} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)


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

ALL = (*PROPERTIES, *TABLE_CHANGES, *ALTERATIONS, *BY_SPEAKER)


class Power:
    """Draws splits of one pool and counts refusals.

    Args:
        table: the pool.
        audio: its decoded audio.
        n_redraws: redraws of the labels of each draw.
        cache: folder of statistics of original and altered recordings; None: they are not kept.
    """

    def __init__(self, table: pd.DataFrame, audio: AudioCache, n_redraws: int, cache: Path | None = None) -> None:
        self.table, self.audio, self.n_redraws, self.cache = table, audio, n_redraws, cache
        ids = list(table["id"])
        content = content_statistics(audio.texts, ids)
        self.clean_tables: Tables = self._measure(None) | {"metadata": metadata_statistics(table, ids)}
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
            refused = sum(self._p_value(name, tables, size, oracle, seed) < BLIND_ALPHA_USER_SUPPLIED for seed in draws)
            all_refused = refused == n_draws
            yield f"{refused}"

    def clean(self, size: int, n_draws: int) -> np.ndarray:
        """Return shares of clean splits, (4,).

        They are those with p < .05 and those refused if there were only the blind baseline of acoustics, and the same
        with all of them.
        """
        draws = tqdm(range(n_draws), f"clean, {size}", leave=False, disable=not sys.stderr.isatty())
        return np.mean([self._clean_draw(size, 1000 + seed) for seed in draws], axis=0)

    def _clean_draw(self, size: int, seed: int) -> list[bool]:
        fits = self._fit(self.clean_tables, *self._split("", size, 0.5, seed))
        refusals = []
        for kinds in (["acoustics"], list(fits)):
            nulls = [NullDistribution(fits[kind].aurocs, two_sided=False) for kind in kinds]
            p_values = dict(zip(kinds, corrected_p_values(nulls), strict=True))
            results = _results({kind: fits[kind] for kind in kinds}, p_values)
            refusals += [min(p_values.values()) < BLIND_ALPHA_USER_SUPPLIED, bool(blind_obstacle(results, drawn=False))]
        return refusals

    def _p_value(self, name: str, tables: Tables, size: int, oracle: float, seed: int) -> float:
        """Draw a split and return its corrected p-value."""
        changed = [kind for kind in tables if name in PROPERTIES or tables[kind] is not self.clean_tables[kind]]
        if not changed:
            raise ValueError(f"{name} changes nothing")
        # All alterations have the same labels, so that the classifiers of what they do not change are the same, too.
        known = {} if name in PROPERTIES else self._unaltered.setdefault((size, oracle, seed), {})
        needed = {kind: tables[kind] for kind in tables if kind in changed or kind not in known}
        fits = self._fit(needed, *self._split(name, size, oracle, seed))
        aurocs = {kind: fit.aurocs for kind, fit in fits.items()}  # sizes with which single statistics are not tested
        known |= {kind: values for kind, values in aurocs.items() if KIND_OF.get(kind, kind) not in changed}
        nulls = [NullDistribution(values, two_sided=False) for values in (known | aurocs).values()]
        return min(corrected_p_values(nulls))

    def _split(self, name: str, size: int, oracle: float, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        """Draw a challenge set; return it, who has the property, and redraws."""
        generator = np.random.default_rng([size, seed])
        pool = self.table.iloc[np.sort(self._choose(size, generator))].reset_index(drop=True)
        strata = _codes(pool["speaker"].to_numpy())
        if name in PROPERTIES:
            having = PROPERTIES[name](pool, generator)
        else:
            having = permute_within_strata(np.arange(size) % 2 == 0, strata, 1, generator)[0]
        members = generator.random(size) < np.where(having, oracle, 1 - oracle)
        redraws = permute_within_strata(members, strata, self.n_redraws, generator)
        challenge = pool[["id", "speaker"]].assign(unit_id=pool["id"], member=members)
        return challenge, having, redraws

    def _fit(
        self, tables: Tables, challenge: pd.DataFrame, having: np.ndarray, redraws: np.ndarray
    ) -> dict[str, BlindBaseline]:
        ids = challenge["id"].to_numpy()
        mixed = {kind: self._mixed(kind, tables[kind], ids, having) for kind in tables}
        return fit_blind_baselines(mixed, challenge, redraws, "utterance")

    def _mixed(self, kind: str, altered: pd.DataFrame, ids: np.ndarray, having: np.ndarray) -> pd.DataFrame:
        clean = self.clean_tables[kind].loc[ids]
        if altered is self.clean_tables[kind]:
            return clean
        values = np.where(having[:, None], altered.loc[ids, clean.columns], clean)
        return pd.DataFrame(values, index=clean.index, columns=clean.columns)

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
            tables |= self._measure(name)
        return tables

    def _add_columns(self, kind: str, table: pd.DataFrame) -> None:
        """Add columns that only altered recordings vary in."""
        clean = self.clean_tables[kind]
        new = [column for column in table if column not in clean]
        self.clean_tables[kind] = clean.join(table[new])

    def _measure(self, name: str | None) -> Tables:
        """Compute the acoustic and the fine statistics of original or altered recordings."""
        file = self.cache / f"{_key(name, self.table)}.pkl" if self.cache else None
        if file and file.exists():
            table = pd.read_pickle(file)
        else:
            clips = zip(*(self.table[column].astype(str) for column in ("id", "speaker")), strict=True)
            rows = [statistics_of(self._altered_waveform(name, number, *clip)) for number, clip in enumerate(clips)]
            table = pd.DataFrame(rows, index=list(self.table["id"]))
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                table.to_pickle(file)
        fine = list(faint_traces(np.zeros(RATE, np.float32)))
        return {"acoustics": table.drop(columns=fine), "fine": table[fine]}

    def _altered_waveform(self, name: str | None, number: int, utterance: str, speaker: str) -> np.ndarray:
        waveform = self.audio.waveform(utterance).astype(np.float64)
        if name is None:
            return waveform
        if name in BY_SPEAKER:
            return BY_SPEAKER[name](waveform, np.random.default_rng([1, zlib.crc32(speaker.encode())]))
        return ALTERATIONS[name](waveform, np.random.default_rng([1, number]))


def statistics_of(waveform: np.ndarray) -> dict[str, float]:
    """Measure a recording as if it were stored with 16 bits."""
    samples = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.float32) / np.float32(32768)
    return {"duration_s": len(samples) / RATE, **waveform_statistics(samples), **faint_traces(samples)}


def _key(name: str | None, table: pd.DataFrame) -> str:
    """Identify an alteration, the recordings, and the code that measures them."""
    code = b"".join(Path(str(module.__file__)).read_bytes() for module in MEASURING)
    return hashlib.sha256(code + repr((name, list(table["id"]))).encode()).hexdigest()[:16]


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
