"""Train and probe shadow models, and evaluate attacks with each as target."""
