"""What is reported: the status of a ScalableApp and its conditions."""
