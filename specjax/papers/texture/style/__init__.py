"""Audio style transfer: the content of one sound with the style of another, by optimization of a spectrogram or wave.

Start reading in `transfer.py`. `waveform.py`, `wyse.py`, `ulyanov.py` and `image.py` are the four methods of style
transfer; `equalizer.py` is a control for their evaluation.
"""
