"""Synthetic museum: music and pictures of five eras, made on the device from random keys."""
