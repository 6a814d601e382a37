"""Audio style transfer: the content of one sound with the style of another, by optimization of a spectrogram or wave.

Start reading in `transfer.py`. `ulyanov.py`, `wyse.py` and `waveform.py` are the three forms of style transfer.
"""
