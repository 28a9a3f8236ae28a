"""What a network's shared layers have learnt: receptive fields, average patches, selectivity, maps taken away."""
