"""Wording of the report: headings, meanings of verdicts, glossary."""

from lightning_mia.evaluation.results import Status
from lightning_mia.report.audit_report import AuditReport, Pool, Targets

SECTIONS = {
    "advice": "What to do",
    "data_protection": "Data protection impact assessment",
    "attacks": "Attack results",
    "shadow_models": "Shadow models",
    "each_as_target": "Shadow models as targets",
    "n_shadow_models": "Number of shadow models",
    "exposures": "Exposures",
    "dataset_inference": "Dataset inference",
    "controls": "Controls",
    "speakers": "Per-speaker risk",
    "slices": "Slices",
    "epsilon": "Lower bounds on ε",
    "utility": "Utility",
    "positive_control": "Positive control",
    "published": "Published results",
    "training": "Training",
    "excluded": "Excluded recordings",
    "protocol": "Protocol",
    "reproduce": "Reproduce this run",
    "attack_lines": "The attacks in one line each",
    "glossary": "Glossary",
}
"""Id of a section → its heading."""

HEADLINES: dict[Status, str] = {
    "leak": "Leak",
    "no_evidence": "No evidence of a leak",
    "not_assessable": "Not assessable",
}
BLIND_HEADLINES: dict[Status, str] = {
    "no_evidence": "Assessable",
    "not_assessable": "Not assessable",
}
"""Headlines of a blind check, which has no model that could leak."""

LEAK_LIMITS = (
    "This does not prove that any single recording is a member, that its content can be extracted, or that attacks not "
    "run would do no better."
)
NO_EVIDENCE_LIMITS = (
    "This does not show that the model is private. A leak below the smallest detectable AUROC of this design may go "
    "unnoticed, and so may one that requires a stronger attack or more access."
)
NOT_ASSESSABLE = (
    "A condition for a conclusion is not met, for the reason given above. The scores of an attack may reflect "
    "something other than membership, or their silence may mean nothing."
)
NOT_ASSESSABLE_LIMITS = "This shows neither that the model leaks nor that it does not."
DRAW_OR_MATCH = " Draw the split at random from one pool, or match members and non-members, and run again."
CLARIFY = " Remove the cause that the reason names, or provide the control that is missing, and run again."
REDRAW = " Draw the split from more recordings or speakers, or with another seed, and run again."

BLIND_MEANINGS: dict[Status, tuple[str, str]] = {
    "no_evidence": (
        "A classifier on durations, levels, spectra and file formats, without any model, did not separate members from "
        "non-members.",
        "This shows neither that a model trained on this split leaks nor that it does not: no model was queried.",
    ),
    "not_assessable": (
        "Members and non-members can be separated without any model, or there are too few of them to rule that out. "
        "Any attack score on this split may reflect a difference between the recordings instead of membership.",
        "This shows neither that a model trained on this split leaks nor that it does not. Draw the split at random "
        "from one pool, or match members and non-members, and check again.",
    ),
}
"""Status → meaning of the verdict of a blind check, and its limits."""

POOL_NAMES: dict[Pool, str] = {
    "challenge": "halves of the challenge set, different for each",
    "auxiliary": "halves of a pool of auxiliary recordings, different for each",
    "references": "no recording of the challenge set, by the user's statement",
}
"""Pool → training data of the shadow models."""

POOL_DESCRIPTIONS: dict[Pool, str] = {
    "challenge": (
        "They were trained on halves of the challenge set: each unit is IN for half of them. Attacks that use them are "
        "an auditor's upper bound, since an outsider does not hold the recordings that the target was trained on."
    ),
    "auxiliary": (
        "They were trained on halves of a pool of auxiliary recordings, and on no unit of the challenge set. Attacks "
        "that use them show what an outsider with recordings of the same kind can do."
    ),
    "references": (
        "They were trained elsewhere, on no unit of the challenge set. Attacks compare the target with them, and show "
        "what an outsider can do."
    ),
}
"""Pool → what it implies for the attacks."""

TARGETS_DESCRIPTIONS: dict[Targets, str] = {
    "own": "Each fitted its own clusters, so their losses and that of the target are about different targets.",
    "victim": (
        "They share the target's clusters, which takes its checkpoint: for attacks with less access, they are an upper "
        "bound."
    ),
}
"""Origin of the learned targets → what it implies for the attacks."""

TRAINED_ELSEWHERE = (
    "They were trained elsewhere. That each was trained like the target, on its own list of the split "
    "(train/shadow_000, …) and on no other recording of the challenge set, is the user's statement, on which attacks "
    "that use them rest."
)
"""What the user vouches for who supplies shadow models."""

POOL_NOTES: dict[Pool, str] = {
    "challenge": (
        "The shadow models were trained on halves of the challenge set: attacks that use them are an auditor's upper "
        "bound, not what an outsider can do."
    ),
    "auxiliary": (
        "The shadow models were trained on no unit of the challenge set: attacks that use them show what an outsider "
        "can do."
    ),
    "references": (
        "The reference models were trained elsewhere, on no unit of the challenge set: attacks that use them show what "
        "an outsider can do."
    ),
}
"""The same in one sentence, next to the verdict."""


ASSUMPTIONS = {
    "speakers": "A speaker with one label is assumed to have been assigned as a whole.",
    "sessions": "Of a speaker with both labels, a session with one label is assumed to have been assigned as a whole.",
    "recordings within sessions": (
        "The recordings of a session with both labels are assumed to have been divided at random, one by one."
    ),
    "recordings": (
        "The recordings of a speaker with both labels are assumed to have been divided at random, one by one. If they "
        "were divided by session (chapter, video, day), which the corpus does not state, the p-values are too small."
    ),
}
"""What user-supplied labels were assigned to → the assumption on which the redraws rest."""

TWO_SIDED_MEANING = "the sign of the score is not known in advance"
UNRESOLVABLE = "decided by fewer than 10 non-members"
CONTROLS = (
    "Controls should not separate members from non-members. The p-values of blind controls are corrected for each "
    "other; those of other controls are not: by chance, one in twenty is below 0.05."
)
SLICES = (
    "The attack that decides the verdict, on parts of the challenge set: members against non-members of the same part, "
    "with intervals over its speakers. Differences between parts were not tested; with many parts, some differ by "
    "chance."
)
EXPOSURES = (
    "Members are in an epoch once or several times: groups of equal size, drawn at random before membership. Each "
    "group of members is compared with all non-members."
)
NO_BREAKDOWN = (
    "Omitted: the controls do not allow a conclusion. Results of single speakers or slices would be read as leaks, "
    "although a difference between the recordings may explain them."
)

PRIVATE_FILES = (
    *("report_names.html", "report_names.md", "report_names.pdf"),
    *("scores.csv", "units.csv", "speakers.csv", "private.json", "split.csv", "config.yaml"),
)
"""Files of a run that name speakers, recordings or folders."""

FACT_NAMES = {
    "memory_gib": "memory (GiB)",
    "fit_s": "training of the target",
    "controls_s": "training of the control models",
    "probe_s": "probing",
    "fleet_s": "shadow models in this run",
    "shadow_s": "training of all shadow models",
    "attack_s": "attacks and evaluation",
}
"""Key of `results.json` → its name in the report."""

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "Member, non-member",
        "A unit that the target was trained on; one that it was not trained on.",
    ),
    (
        "Utterance level, speaker level",
        "The unit: one recording, or one speaker. At speaker level, an attack is evaluated on recordings that the "
        "target was not trained on; with the suffix _trained, on those that it was trained on.",
    ),
    (
        "Challenge set",
        "The units that are evaluated.",
    ),
    (
        "Auxiliary recordings",
        "The adversary's own recordings: in no model's training set, never evaluated.",
    ),
    (
        "Background",
        "Recordings that every model was trained on, the wrong model too; never evaluated.",
    ),
    (
        "Exposures",
        "How often a member is in an epoch.",
    ),
    (
        "Access",
        "What the adversary can do with the model. Black-box: submit waveforms and read encoder outputs. Open-weights: "
        "also set the encoder's mask. Grey-box: also compute the pretext loss. White-box: also train the model "
        "further. None: a control.",
    ),
    (
        "Shadow model",
        "A model trained like the target on a known part of the recordings. A unit is IN for it, or OUT. Shadow models "
        "come in pairs: each unit is IN for exactly one of the two.",
    ),
    (
        "Queries",
        "Waveforms submitted to the target per recording; not counted for attacks that read frame-level hidden states.",
    ),
    (
        "Shadow models as targets",
        "The attack with each shadow model in turn as the target, evaluated on that model's members: mean and standard "
        "deviation (sd) over models.",
    ),
    (
        "AUROC",
        "Probability that a random member scores higher than a random non-member; chance is 0.5. Its interval is "
        "descriptive: cluster bootstrap over speakers with Student's t, or Newcombe's method if every speaker has one "
        "unit or the AUROC is 0 or 1.",
    ),
    (
        "p, corrected p",
        "Share of redraws of the split that the attack separates at least as well. The redraws follow the mechanism "
        "that drew the split (assumed if the user supplied it). The corrected p accounts for all attacks of the same "
        "level and access (max-T); the verdict rests on it, not on the interval.",
    ),
    (
        "Smallest detectable AUROC",
        "The smallest AUROC that this design reports as a leak with 80 % power; for a level and access, the largest "
        "over its attacks. Weaker leaks may go unnoticed.",
    ),
    (
        "Margin over wrong model",
        "By how much the AUROC exceeds that of the same attack on a model trained on neither members nor non-members "
        "(for two-sided attacks: in the direction of the target), with a one-sided lower bound. A difference between "
        "the recordings would appear with both models.",
    ),
    (
        "Advantage",
        "The largest TPR − FPR over all thresholds, read off the challenge set itself; its mean under chance is given "
        "in parentheses.",
    ),
    (
        "TPR at FPR",
        "Share of members found at a threshold with at most this share of false positives. It is read off the "
        "challenge set, so the realised FPR is given as well. † marks rates decided by fewer than 10 non-members.",
    ),
    (
        "Blind baseline",
        "A classifier on model-free statistics of the recordings. If it separates members from non-members, the "
        "success of an attack cannot be attributed to membership.",
    ),
    (
        "Untrained",
        "The same attacks on the same architecture with fresh weights: what they find without any training.",
    ),
    (
        "Wrong model",
        "The same attacks on a model trained on neither members nor non-members.",
    ),
    (
        "Paper protocol",
        "An attack whose name ends in _paper_protocol was fitted on the very non-members that it is evaluated on, as "
        "in the paper. Its scores depend on the labels: its p-value is meaningless, and no verdict rests on it.",
    ),
    (
        "ROC band",
        "Pointwise 95 % band of an ROC curve, by cluster bootstrap over speakers.",
    ),
)


def compared_with(report: AuditReport) -> str:
    """Name the models that attacks compare the target with."""
    return "reference models" if report.fleet and report.fleet.pool == "references" else "shadow models"
