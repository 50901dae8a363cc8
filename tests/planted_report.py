"""A planted audit: six attacks and nine controls with every kind of figure that a report shows."""

from dataclasses import replace

import numpy as np

from lightning_mia.evaluation.dataset_inference import DatasetInference, PAtSize
from lightning_mia.evaluation.results import (
    AttackResult,
    BlindResult,
    Difference,
    EachAsTarget,
    LevelVerdict,
    SubsetResult,
    TprAtFpr,
    Verdict,
)
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.verdict import give_verdict
from lightning_mia.report import (
    AuditReport,
    FleetSummary,
    Provenance,
    SkippedRecording,
    SplitSummary,
    Target,
    TrainedModel,
    UnitFacts,
)

ATTACKS = [  # name, level, access, two-sided, shift of the members' scores in standard deviations
    ("utterance_similarity", "utterance", "black-box", True, -0.2),
    ("utterance_similarity_layer1", "utterance", "black-box", True, 0.05),
    ("pretext_loss", "utterance", "grey-box", False, 1.6),
    ("speaker_similarity", "speaker", "black-box", True, 0.2),
    ("speaker_similarity_trained", "speaker", "black-box", True, -0.3),
    ("pretext_loss", "speaker", "grey-box", False, 1.1),
]
CONTROLS = [
    ("blind", "utterance"),
    ("blind", "speaker"),
    ("untrained_utterance_similarity", "utterance"),
    ("untrained_pretext_loss", "utterance"),
    ("untrained_speaker_similarity", "speaker"),
    ("untrained_pretext_loss", "speaker"),
    ("wrong_model_utterance_similarity", "utterance"),
    ("wrong_model_pretext_loss", "utterance"),
    ("wrong_model_pretext_loss", "speaker"),
]


def planted_scores(name: str, level: str, access: str, two_sided: bool, shift: float, seed: int) -> Scores:
    """200 + 200 units of 20 speakers, or 20 + 20 speakers, under names that need escaping."""
    rng = np.random.default_rng(seed)
    n = 400 if level == "utterance" else 40
    members = np.arange(n) % 2 == 0
    speakers = np.array(
        [f"Zoë & <{i // 2 % 20:02d}>" if level == "utterance" else f"sprecher {i:02d}" for i in range(n)]
    )
    units = np.array([f'{s}, "take" {i:03d}' for i, s in enumerate(speakers)]) if level == "utterance" else speakers
    return Scores(name, level, access, two_sided, units, speakers, members, rng.normal(members * shift))


def planted_result(scores: Scores, control: bool) -> AttackResult:
    """Plausible figures; the tests of evaluation check exact ones."""
    members, nonmembers = scores.values[scores.members], scores.values[~scores.members]
    auroc = float((members[:, None] > nonmembers).mean())
    se = 0.03 if scores.level == "utterance" else 0.09
    p = float(np.clip(np.exp(-(((auroc - 0.5) / se) ** 2)), 0.001, 1))
    rates = tuple(
        TprAtFpr(fpr, fpr * 0.9, (0.0, fpr * 2), fpr * 1.5, (fpr, fpr * 2.5), len(nonmembers) * fpr >= 10)
        for fpr in (0.001, 0.01, 0.1)
    )
    return AttackResult(
        name=scores.name,
        level=scores.level,
        access=scores.access,
        n_members=scores.n_members,
        n_nonmembers=scores.n_nonmembers,
        n_speakers=len(np.unique(scores.speakers)),
        auroc=auroc,
        auroc_ci95=(max(auroc - 2 * se, 0.0), min(auroc + 2 * se, 1.0)),
        p_value=p,
        p_value_corrected=None if control else min(1.0, p * 2),
        two_sided=scores.two_sided,
        advantage=abs(2 * auroc - 1) * 0.75 + 0.06,
        advantage_null_mean=0.06 if scores.level == "utterance" else 0.19,
        tpr_at_fpr=rates,
        smallest_detectable_auroc=None if control else 0.5 + 2.5 * se,
        auroc_blind_adjusted=None if control else auroc - 0.01,
        versus_wrong_model=None if control else Difference(abs(auroc - 0.5), abs(auroc - 0.5) - 1.6 * se, se, 0.5),
    )


def make_small_report() -> AuditReport:
    """One attack and one control of the planted audit, for tests that draw more than once."""
    planted = make_planted_report()
    return replace(
        planted,
        attacks=planted.attacks[2:3],
        controls=planted.controls[:1],
        scores=(planted.scores[2], planted.scores[6]),
    )


def make_units(scores: Scores) -> tuple[UnitFacts, ...]:
    """Every third speaker is female."""
    return tuple(
        UnitFacts("utterance", unit, 1.0, float(-20 - number % 7), "female" if int(speaker[-3:-1]) % 3 == 0 else "male")
        for number, (unit, speaker) in enumerate(zip(scores.unit_ids.tolist(), scores.speakers.tolist(), strict=True))
    )


def make_planted_blind_report() -> AuditReport:
    """The report of `lightning-mia blind`: no target, no attacks."""
    scores = planted_scores("blind", "utterance", "none", False, 1.3, 7)
    return AuditReport(
        target=None,
        split=SplitSummary("utterance", "cd" * 32, 200, 200, 20, drawn=False),
        verdict=Verdict(
            "not_assessable",
            "Utterance level: members and non-members can be separated without any model: the blind baseline has AUROC "
            "0.82 (p = .001).",
            (),
        ),
        attacks=(),
        controls=(planted_result(scores, control=True),),
        scores=(scores,),
        blind_upper95={"utterance": 0.87},
    )


def make_planted_report() -> AuditReport:
    attacks = tuple(planted_scores(*row, seed=i) for i, row in enumerate(ATTACKS))
    controls = tuple(
        planted_scores(name, level, "none", False, 0.0, seed=100 + i) for i, (name, level) in enumerate(CONTROLS)
    )
    nothing = (
        "no attack separates members from non-members: utterance_similarity has AUROC 0.44 (95 % interval 0.38 to "
        "0.50, corrected p = .086); an AUROC of 0.57 would have been detected with 80 % power"
    )
    leaking = (
        "pretext_loss has AUROC 0.89 (95 % interval 0.86 to 0.92, corrected p = .001), which differs by 0.39 from that "
        "on a model trained on neither members nor non-members (lower bound 0.34)"
    )
    return AuditReport(
        target=Target("hubert", "ab" * 32, 126_340),
        split=SplitSummary("utterance", "cd" * 32, 200, 200, 20, drawn=True),
        verdict=Verdict(
            "leak",
            f"utterance level, grey-box: {leaking}; speaker level, grey-box: {leaking}.",
            (
                LevelVerdict("utterance", "black-box", "no_evidence", nothing),
                LevelVerdict("utterance", "grey-box", "leak", leaking, "pretext_loss"),
                LevelVerdict("speaker", "black-box", "no_evidence", nothing.replace("utterance_", "speaker_")),
                LevelVerdict("speaker", "grey-box", "leak", leaking, "pretext_loss"),
            ),
        ),
        attacks=tuple(planted_result(s, control=False) for s in attacks),
        controls=tuple(planted_result(s, control=True) for s in controls),
        scores=(*attacks, *controls),
        blind_upper95={"utterance": 0.57, "speaker": 0.66},
        timings={"fit_s": 41.2, "shadow_s": 0.0, "probe_s": 8.31, "attack_s": 3.4},
        provenance=Provenance(
            command="lightning-mia audit -c configs/audit/demo.yaml --run_dir runs/demo",
            created="2026-03-01T12:00:00",
            settings={"n_redraws": 1000, "n_bootstraps": 1000, "fprs": [0.001, 0.01, 0.1]},
            seeds={"split": 0, "training": 1, "evaluation": 2},
            hashes={"data": "12" * 32, "config": "34" * 32},
            versions={"lightning_mia": "0.1.0", "python": "3.11.7", "torch": "2.14.1", "lightning": "2.6.6"},
            hardware={"processor": "2 cores", "accelerator": "none"},
            models=(
                TrainedModel("target", "members", 200, 20, 0.31, 60.0, 1500, 21.5),
                TrainedModel("wrong model", "auxiliary recordings", 200, 10, 0.30, 60.0, 1500, 20.9),
                TrainedModel("untrained", "nothing (fresh weights; clusters of auxiliary recordings)"),
            ),
        ),
        skipped=(SkippedRecording("a<b>&c", "/data/a<b>&c.wav", "silent: every sample is 0"),),
        config_yaml="seed: 0\nmodel:\n  class_path: HuBERT\n  init_args: {dim: 64} # <width>\n",
        notes=("2 recordings have two ids each; both ids have the same label.",),
    )


FLEET_ATTACKS = {  # access → name → shift of the members' scores in standard deviations
    "black-box": {
        "utterance_similarity": 0.02,
        "utterance_similarity_layer1": -0.08,
        "learned_utterance_similarity": 0.05,
        "lira_similarity_statistics": 0.1,
        "lira_views": 0.0,
        "lira_offline_views": 0.12,
        "rmia_views": 0.17,
        "rmia_offline_views": 0.08,
        "bavaria_views": 0.05,
        "bavaria_surrogate_head_waveforms": 0.1,
        "lira_surrogate_head_waveforms": 0.08,
        "encodermi_t": 0.0,
        "encodermi_v": 0.1,
        "encodermi_s": -0.05,
        "partcrop": 0.03,
        "shadow_classifier_black_box": 0.12,
        "quantile_regression_similarity": 0.01,
    },
    "open-weights": {
        "surrogate_head": 0.5,
        "lira_surrogate_head": 1.2,
        "rmia_surrogate_head": 1.1,
        "bavaria_surrogate_head": 1.3,
    },
    "grey-box": {
        "pretext_loss": 0.7,
        "calibrated_loss": 0.9,
        "attack_r": 0.95,
        "lira": 1.2,
        "lira_offline": 1.1,
        "rmia": 1.25,
        "rmia_offline": 1.0,
        "bavaria": 1.3,
        "shadow_classifier": 1.35,
    },
}
NEEDS_NO_SHADOWS = {
    "utterance_similarity",
    "utterance_similarity_layer1",
    "learned_utterance_similarity",
    "quantile_regression_similarity",
    "surrogate_head",
    "pretext_loss",
}
SIZES = (2, 4, 8, 16)


def make_small_fleet_report(report: AuditReport) -> AuditReport:
    """One attack with shadow models and one control, for tests that draw."""
    names = ("lira", "blind")
    return replace(
        report,
        attacks=tuple(attack for attack in report.attacks if attack.name == "lira"),
        controls=report.controls[:1],
        scores=tuple(scores for scores in report.scores if scores.name in names),
    )


def with_fleet(result: AttackResult, n_shadows: int = SIZES[-1]) -> AttackResult:
    """The result as an audit with shadow models has it."""
    as_targets = EachAsTarget(
        16, result.auroc - 0.01, 0.012, tuple(rate.tpr * 0.9 for rate in result.tpr_at_fpr), 0.501, 0.021
    )
    if result.name in NEEDS_NO_SHADOWS:
        return replace(result, queries=8, in_turn=as_targets)
    fewer = tuple(
        SubsetResult(
            size,
            0.5 + (result.auroc - 0.5) * (1.1 - 1.6 / size),
            tuple(0.5 + (end - 0.5) * (1.1 - 1.6 / size) for end in result.auroc_ci95),
            result.tpr_at_fpr,
        )
        for size in SIZES
    )
    return replace(result, n_shadows=n_shadows, queries=24, in_turn=as_targets, with_fewer=fewer)


def make_planted_fleet_report(planted: AuditReport) -> AuditReport:
    """30 attacks at utterance level on three accesses, with 16 shadow models; black-box mostly at chance."""
    rows = [
        (name, "utterance", access, "similarity" in name and shift < 0.5, shift)
        for access, shifts in FLEET_ATTACKS.items()
        for name, shift in shifts.items()
    ]
    attacks = [planted_scores(*row, seed=i) for i, row in enumerate(rows)]
    names = ["blind", *(f"{kind}_{row[0]}" for kind in ("untrained", "wrong_model") for row in rows)]
    controls = [planted_scores(name, "utterance", "none", False, 0.0, seed=200 + i) for i, name in enumerate(names)]
    results = [with_fleet(planted_result(scores, control=False)) for scores in attacks]
    results = [
        replace(result, p_value_corrected=min(1.0, result.p_value * len(FLEET_ATTACKS[result.access])))
        for result in results
    ]
    control_results = [planted_result(scores, control=True) for scores in controls]
    return replace(
        planted,
        verdict=give_verdict(results, [BlindResult(control_results[0], 0.56)], drawn=True),
        attacks=tuple(results),
        controls=tuple(control_results),
        scores=(*attacks, *controls),
        fleet=FleetSummary(
            16, "challenge", 200, 60.0, 1500, 341.5, {"loss": (2.91, 3.4), "masked_accuracy": (0.12, 0.2)}, 1
        ),
        dataset_inference=tuple(
            DatasetInference(
                result.name,
                result.level,
                result.access,
                result.two_sided,
                200,
                200,
                2 * result.auroc - 1,
                result.p_value,
                0.01,
                (
                    PAtSize(2, 0.4, 0.1),
                    PAtSize(45, 0.03, 0.82 if result.auroc > 0.6 else 0.2),
                    PAtSize(200, 0.001, float(result.auroc > 0.55)),
                ),
            )
            for result in results
        ),
    )
