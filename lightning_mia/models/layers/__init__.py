"""Building blocks of the families: features, convolutions, masks, quantizer, transformer."""
