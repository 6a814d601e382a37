"""Scatter plots have a dot for each point, in the color of its label."""

import numpy as np

from specjax.plots import scatter


def test_dots_lie_where_their_points_are_and_have_the_colors_of_their_labels():
    points = np.array([[0.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
    picture = scatter.plot(points, np.array([0, 1, 1]), ["bird", "dog"], "animals", size=100)
    area = picture[50:, :]  # below the legend

    def find(color):
        rows, columns = np.nonzero((area == color).all(axis=-1))
        return rows, columns

    rows, columns = find(scatter.COLORS[0])
    assert rows.mean() > 80
    assert columns.mean() < 30
    rows, columns = find(scatter.COLORS[1])
    assert rows.max() < 30
    assert columns.min() < 20 < 90 < columns.max()


def test_equal_points_are_drawn():
    picture = scatter.plot(np.ones((3, 2)), np.zeros(3, int), ["bird"], "animals", size=50)
    assert (picture == scatter.COLORS[0]).all(axis=-1).any()
