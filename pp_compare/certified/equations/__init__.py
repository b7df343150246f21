"""The mixed model equations in balls: cross-products, solutions, derivatives, Krawczyk's test."""
