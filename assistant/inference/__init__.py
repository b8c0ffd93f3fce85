"""Running ONNX graphs: the card that describes one, the graph itself, and micro-batches across streams."""
