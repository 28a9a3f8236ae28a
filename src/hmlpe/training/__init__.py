"""The LightningModule, the optimiser's groups, and one whole run."""
