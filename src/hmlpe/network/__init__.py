"""The heterogeneous network: a shared convolutional trunk, one fully connected head per task."""

from hmlpe.network.heterogeneous import HeterogeneousNet
from hmlpe.network.layers import Dropout, Head, Trunk

__all__ = ["Dropout", "Head", "HeterogeneousNet", "Trunk"]
