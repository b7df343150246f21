"""The search for the minima of a criterion, from which proofs start; nothing in it is a proof."""
