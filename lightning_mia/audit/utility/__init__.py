"""What a model is good for: what a defence costs, beside what it buys.

A linear probe on hidden states, and the pretext task under masks that are the same for all models, on recordings that
the target has never seen.
"""
