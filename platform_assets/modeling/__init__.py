"""Pure scikit-learn: cut-offs, dataset, candidates, evaluation, gate and the exported form of a model."""
