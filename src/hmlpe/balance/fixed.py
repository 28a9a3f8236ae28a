"""Fixed weights: phi = sum over tasks of weight * loss (paper equation 4)."""

from hmlpe.balance.balance import Balance


class FixedWeights(Balance):
    """phi = lambda_r E_r + lambda_d E_d, for any number of tasks: what a balance is unless it says otherwise."""
