"""The certified optimum: exact sums, ball arithmetic, proofs."""
