"""Audio files: decoding, cropping, cache."""
