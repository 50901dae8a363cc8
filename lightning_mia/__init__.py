"""Membership inference against self-supervised speech models, with its confounds under control."""
