"""How fast the product is: training, evaluation and sweeps against what the machine and the bare computation allow."""
