"""The continuous path: acyclicity, models, scores, and the objective that the path minimises."""
