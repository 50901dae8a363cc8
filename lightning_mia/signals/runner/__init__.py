"""The probe: batch loop, Lightning module, cache, frame streams."""
