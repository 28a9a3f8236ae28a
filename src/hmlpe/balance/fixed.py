"""Fixed weights: phi = sum over tasks of weight * loss (paper equation 4)."""

from hmlpe.balance.balance import Balance


class FixedWeights(Balance):
    """Weights that stay as the row gives them: phi = lambda_r E_r + lambda_d E_d, for any number of tasks.

    This is what the base class does.
    """
