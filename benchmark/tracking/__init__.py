"""What MLflow is told of cells: the only room that imports it."""
