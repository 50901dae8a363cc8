"""What the report says in words: statuses, what they mean, and the terms."""

from lightning_mia.evaluation.results import Status
from lightning_mia.report.audit_report import Pool

HEADLINES: dict[Status, str] = {
    "leak": "Leak",
    "no_evidence": "No evidence of a leak",
    "not_assessable": "Not assessable",
}
BLIND_HEADLINES: dict[Status, str] = {
    "no_evidence": "Assessable",
    "not_assessable": "Not assessable",
}
"""Where only a split was checked: there is no model that could leak."""

MEANINGS: dict[Status, tuple[str, str]] = {
    "leak": (
        "At least one attack told members from non-members better than redrawing the split by chance "
        "would let it (corrected p < .05), and the controls leave the model's training as the cause.",
        "That any single recording is proven to be a member, that its content could be extracted, or that"
        " attacks which were not run would do no better.",
    ),
    "no_evidence": (
        "The controls hold, and no attack of this run told members from non-members better than chance "
        "and better than on the wrong model.",
        "That the model keeps its training data to itself. A leak below the smallest AUROC that this "
        "design would have found stays unseen, and so does one that takes a stronger attack or more "
        "access.",
    ),
    "not_assessable": (
        "The controls do not allow a conclusion: the sides can be told apart without any model, or are "
        "too few to exclude that, or a control is missing. Whatever an attack scores, it may have picked "
        "up a difference between the recordings instead of membership.",
        "That the model leaks, or that it does not. Draw the split at random from one pool, or match the "
        "two sides, and run again.",
    ),
}
"""What a verdict means, and what it does not."""

BLIND_MEANINGS: dict[Status, tuple[str, str]] = {
    "no_evidence": (
        "A classifier that saw durations, levels, spectra and file formats, but no model, could not tell "
        "the two sides apart.",
        "That a model trained on this split leaks, or that it does not: no model was asked.",
    ),
    "not_assessable": (
        "The sides can be told apart without any model, or are too few to exclude that. An attack that "
        "succeeds on this split may have found that difference instead of membership.",
        "That a model trained on this split leaks, or that it does not. Draw the split at random from one"
        " pool, or match the two sides, and check again.",
    ),
}
"""The same where only a split was checked."""

POOL_WORDS: dict[Pool, str] = {
    "challenge": "halves of the challenge set",
    "auxiliary": "halves of a pool of auxiliary recordings",
}
"""What shadow models were trained on."""

POOLS: dict[Pool, str] = {
    "challenge": (
        "They were trained on halves of the challenge set, each unit IN for half of them. What attacks find with them "
        "is an auditor's upper bound: an outsider does not hold the recordings that the target was trained on."
    ),
    "auxiliary": (
        "They were trained on halves of a pool of auxiliary recordings, and none of them ever saw a unit of the "
        "challenge set. What attacks find with them is what an outsider can do who holds recordings of the same kind."
    ),
}
"""What that means for whoever reads the figures."""

POOL_NOTES: dict[Pool, str] = {
    "challenge": (
        "Attacks with shadow models used models trained on halves of the challenge set: an auditor's upper bound, not "
        "what an outsider can do."
    ),
    "auxiliary": (
        "Attacks with shadow models used models that never saw a unit of the challenge set: what an outsider can do."
    ),
}
"""The same in one line, beside the verdict."""

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "Member, non-member",
        "A unit that the target model was trained on, and one that it was not.",
    ),
    (
        "Utterance level, speaker level",
        "What a unit is: one recording, or one person's voice. At speaker level the plain name of an "
        "attack is judged on recordings that the model was not trained on; the suffix _trained on those "
        "that it was.",
    ),
    (
        "Challenge set",
        "The units that are judged.",
    ),
    (
        "Auxiliary recordings",
        "The adversary's own recordings: in no model's training set, never judged.",
    ),
    (
        "Access",
        "What the adversary can do with the model. Black-box: put a waveform in and take encoder outputs."
        " Open-weights: also set the encoder's mask. Grey-box: also compute the pretext loss. None: a "
        "control.",
    ),
    (
        "Shadow model",
        "A model trained like the target, on a part of the recordings that is known. A unit is IN for it, or OUT. They "
        "come in pairs: each unit is IN for exactly one of the two.",
    ),
    (
        "Queries",
        "How many waveforms the target was given for each recording; not counted for attacks that learn from frames.",
    ),
    (
        "In turn",
        "The attack with each shadow model in the target's place, judged by that model's own members; mean and "
        "standard deviation over models.",
    ),
    (
        "AUROC",
        "The probability that a random member scores higher than a random non-member; .5 is chance. Its "
        "interval is for reading: cluster bootstrap over speakers with Student's t.",
    ),
    (
        "p, corrected p",
        "How often redrawing the split by its own mechanism separates the units as well. Corrected for "
        "the number of attacks of the same level and access (max-T). Evidence comes from here, not from "
        "the interval.",
    ),
    (
        "Would show",
        "The smallest AUROC that this design calls a leak with 80 % power. Weaker leaks stay unseen.",
    ),
    (
        "Beyond wrong model",
        "How much further from chance the AUROC is than that of the same attack on a model trained on "
        "neither side, with its one-sided lower bound. A difference between the recordings would show in "
        "both models.",
    ),
    (
        "Advantage",
        "The largest TPR − FPR over all thresholds, read off the challenge set itself; hence its mean "
        "under chance beside it.",
    ),
    (
        "TPR at FPR",
        "The share of members found at a threshold that mistakes at most this share of non-members. Also "
        "read off the challenge set: the realised FPR stands beside it. † marks rates that fewer than 10 "
        "non-members would decide.",
    ),
    (
        "Blind baseline",
        "A classifier on model-free statistics of the recordings. Where it separates the sides, no "
        "attack's success can be put down to membership.",
    ),
    (
        "Untrained",
        "The same attacks on the same architecture with fresh weights: what they find without any training.",
    ),
    (
        "Wrong model",
        "The same attacks on a model that was trained on neither side.",
    ),
    (
        "Paper protocol",
        "An attack whose name ends in _paper_protocol was fitted on the very non-members that it judges, as the paper "
        "did. Its scores depend on the labels, so that its p-value means nothing and no verdict rests on it.",
    ),
    (
        "Band",
        "Pointwise 95 % around a ROC curve, by cluster bootstrap over speakers.",
    ),
)
