"""Mvnet paper: "Music Visualization Network Towards Audio to Image Synthesis using cDCGAN" (Natalia Koliou, no year).

Pictures of five eras of art, painted after clips of music.
"""
