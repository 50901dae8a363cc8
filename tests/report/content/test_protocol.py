from dataclasses import replace

from lightning_mia.report.content.protocol import limits, protocol


def test_the_protocol_covers_members_training_and_evaluation(planted_report):
    paragraphs = dict(protocol(planted_report))
    assert list(paragraphs) == ["Members", "Training", "Queries", "Controls", "Evaluation", "Hardware and runtime"]
    assert "drawn at random by this tool (seed 0), recording by recording" in paragraphs["Members"]
    assert planted_report.split.sha256 in paragraphs["Members"]
    assert "200 recordings of 20 speakers (0.31 h) (seed 1)" in paragraphs["Training"]
    assert "1\u2009000 redraws of the split" in paragraphs["Evaluation"]
    assert "torch 2.14.1" in paragraphs["Hardware and runtime"]


def test_the_protocol_of_a_user_supplied_split_and_checkpoint(planted_report):
    report = replace(planted_report, split=replace(planted_report.split, drawn=False, n_held_back=7))
    report = replace(report, provenance=replace(report.provenance, models=()))
    paragraphs = dict(protocol(report))
    assert "labels were supplied by the user" in paragraphs["Members"]
    assert "7 recordings of members were held back" in paragraphs["Members"]
    assert "user-supplied checkpoint; it was not trained here" in paragraphs["Training"]


def test_the_protocol_states_what_user_supplied_labels_are_assumed_to_be_assigned_to(planted_report):
    split = replace(planted_report.split, drawn=False, assignment=("speakers", "recordings"), n_siblings=50)
    paragraphs = dict(protocol(replace(planted_report, split=split)))
    assert "A speaker with one label is assumed to have been assigned as a whole." in paragraphs["Members"]
    assert "divided by session (chapter, video, day), which the corpus does not state" in paragraphs["Members"]
    assert "50 recordings are siblings: of the members' source, but not trained on" in paragraphs["Members"]
    assert "under the assumptions stated about its members" in paragraphs["Evaluation"]
    by_session = replace(split, assignment=("sessions", "recordings within sessions"))
    members = dict(protocol(replace(planted_report, split=by_session)))["Members"]
    assert "a session with one label is assumed to have been assigned as a whole" in members
    assert "too small" not in members


def test_the_protocol_has_the_range_of_queries(planted_fleet_report):
    assert "8 to 24 waveforms per recording" in dict(protocol(planted_fleet_report))["Queries"]


def test_limits_name_the_levels_and_accesses_tested(planted_report, planted_blind_report):
    first = limits(planted_report)[0]
    assert first.startswith("Tested: utterance level (black-box, grey-box); speaker level (black-box, grey-box)")
    assert limits(planted_blind_report) == ()
