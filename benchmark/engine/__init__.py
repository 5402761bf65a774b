"""Train, score and judge the cells of one fleet: no Hydra, no MLflow, no output folder."""
