"""Run the probe: batch loop, Lightning module, cached signals, streams of hidden states."""
