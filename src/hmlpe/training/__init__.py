"""The LightningModule, the optimiser's parameter groups, and the code that trains and evaluates one run."""
