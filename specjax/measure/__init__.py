"""Measures that judge results: arrays in, numbers out. Those of generative models compare embeddings."""
