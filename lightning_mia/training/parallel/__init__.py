"""Run jobs in parallel: scheduler, local worker processes, Ray, devices, progress."""
