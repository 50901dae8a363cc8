"""Train models resumably and reproducibly: callbacks, DP-SGD, FSDP, parallel workers."""
