"""Parallel jobs: scheduler, local workers, Ray, devices, progress."""
