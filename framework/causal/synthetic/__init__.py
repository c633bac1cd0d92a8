"""Generated problems: random graphs, structural equations, physics, published discrete networks."""
