"""Where recordings come from: manifests, folders, torchaudio data sets, synthetic voices."""
