"""Figures of the paper: their names. The test of the command draws them."""

from specjax.papers.melody import figures


def test_pictures_of_the_papers_approaches_have_the_numbers_of_its_figures():
    names = figures.file_names(["tanh", "relu", "images"])
    assert names == [
        "figure_5_real_spectrogram.png",
        "figure_8_real_wave.png",
        "figure_6_real_picture.png",
        "figure_7_tanh_spectrogram.png",
        "figure_9_tanh_wave.png",
        "figure_10_tanh_losses.png",
        "figure_11_relu_spectrogram.png",
        "figure_12_relu_wave.png",
        "relu_losses.png",
        "images_picture.png",
        "images_losses.png",
    ]
