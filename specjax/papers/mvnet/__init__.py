"""Mvnet paper: "Music Visualization Network Towards Audio to Image Synthesis using cDCGAN" (Natalia Koliou, no year).

Pictures in the style of five eras of art, generated from clips of music.
"""
