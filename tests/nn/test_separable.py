"""Matrix heads match the literal order (upsample, then convolve); and which images each head can represent."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from conftest import modes
from specjax.image import linear
from specjax.nn import separable
from specjax.nn.conv import LAYOUT
from specjax.nn.separable import RowHead, UpsampledConv, upsampled_conv
from specjax.papers.chord import theory

MODES = ["plain", "jit", "vmap"]
RNG = np.random.default_rng(0)


def random(*shape):
    return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


def reference(x, kernel, size):
    """Upsample bilinearly to size x size, then convolve 3x3 with zero padding."""
    large = jax.image.resize(x, (x.shape[0], size, size, x.shape[-1]), "linear", antialias=False)
    return jax.lax.conv_general_dilated(large, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)[..., 0]


class TestUpsampledConv:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(("shape", "size"), [((2, 7, 7, 5), 28), ((1, 4, 6, 2), 25), ((1, 28, 28, 3), 28)])
    def test_output_matches_upsampling_then_convolution(self, shape, size, mode):
        x, kernel = random(*shape), random(3, 3, shape[-1], 1) / 3
        result = modes(partial(upsampled_conv, size=size, columns=size))[mode](x, kernel)
        np.testing.assert_allclose(result, reference(x, kernel, size), atol=1e-5)

    def test_gradients_match_upsampling_then_convolution(self):
        x, kernel, cotangent = random(2, 7, 7, 3), random(3, 3, 3, 1), random(2, 28, 28)
        fused = partial(upsampled_conv, size=28, columns=28)
        gradients = [jax.vjp(f, x, kernel)[1](cotangent) for f in (fused, partial(reference, size=28))]
        for result, expected in zip(*gradients, strict=True):
            np.testing.assert_allclose(result, expected, atol=1e-5 * float(jnp.abs(expected).max()))

    def test_output_matches_at_the_size_of_the_paper(self):
        x, kernel = random(1, 28, 28, 4), random(3, 3, 4, 1) / 6
        function = jax.jit(partial(upsampled_conv, size=1008, columns=1008))
        np.testing.assert_allclose(function(x, kernel), jax.jit(partial(reference, size=1008))(x, kernel), atol=1e-5)

    def test_module_adds_a_bias(self):
        x = random(2, 7, 7, 5)
        out, variables = UpsampledConv(28, 28).init_with_output(jax.random.key(0), x)
        params = variables["params"]
        assert {name: leaf.shape for name, leaf in params.items()} == {"kernel": (3, 3, 5, 1), "bias": (1,)}
        np.testing.assert_allclose(out, reference(x, params["kernel"], 28) + params["bias"][0], atol=1e-5)
        assert all(float(jnp.abs(leaf).max()) <= 1 / np.sqrt(45) for leaf in params.values())


class TestRowHead:
    def test_initial_output_is_bilinear_upsampling_of_the_summed_maps(self):
        x = random(2, 7, 5, 6)
        out, variables = RowHead(28, 28, channels=4).init_with_output(jax.random.key(0), x)
        mix = variables["params"]["mix"]
        summed = jnp.sum(jnp.einsum("bhwc,cd->bhwd", x, mix["kernel"]) + mix["bias"][None, None, None], axis=-1)
        expected = jax.image.resize(summed, (2, 28, 28), "linear", antialias=False)
        np.testing.assert_allclose(out, expected, atol=1e-5)

    @pytest.mark.parametrize("mode", MODES)
    def test_output_matches_its_formula(self, mode):
        """The formula is Y = sum_c A_c D_c B'."""
        head = RowHead(20, 20, channels=3)
        x = random(2, 4, 5, 6)
        params = jax.tree.map(lambda leaf: random(*leaf.shape), head.init(jax.random.key(0), x)["params"])
        maps = np.asarray(x, float) @ np.asarray(params["mix"]["kernel"], float) + np.asarray(params["mix"]["bias"])
        expected = sum(
            np.asarray(params["rows"][c], float) @ maps[..., c] @ linear.resample_matrix(5, 20).T for c in range(3)
        )
        result = modes(lambda x: head.apply({"params": params}, x))[mode](x)
        np.testing.assert_allclose(result, expected + np.asarray(params["bias"]), rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("row", [0, 1, 28, 29, 57, 111])
    def test_maximum_can_be_in_any_row(self, row):
        head = RowHead(112, 112, channels=2)
        x = jnp.ones((1, 28, 28, 1))
        params = head.init(jax.random.key(0), x)["params"]
        mix = {"kernel": jnp.array([[1.0, 0.0]]), "bias": jnp.zeros(2)}
        params = params | {"rows": jnp.zeros((2, 112, 28)).at[0, row, 3].set(1.0), "mix": mix}
        image = head.apply({"params": params}, x)[0]
        np.testing.assert_allclose(image, jnp.zeros((112, 112)).at[row].set(1.0), atol=1e-6)


@pytest.mark.parametrize("columns", [56, 28, 8, 1])
@pytest.mark.parametrize("head", [UpsampledConv, RowHead])
def test_fewer_columns_are_means_of_the_full_columns(head, columns):
    x = random(2, 7, 7, 3)
    full, variables = head(112, 112).init_with_output(jax.random.key(0), x)
    pooled = np.asarray(full).reshape(2, 112, columns, -1).mean(axis=-1)
    np.testing.assert_allclose(head(112, columns).apply(variables, x), pooled, atol=1e-5)


class TestExpressiveness:
    """Best least-squares fits of each head to the row profiles of the ten chords, at the size of the paper."""

    SIZE = 1008

    def chord(self, label):
        """Compute the row profile of a chord: its three rows, blurred as in the target."""
        return linear.gaussian_matrix(self.SIZE, 2.0)[:, theory.chord_rows(label)].sum(axis=1).astype(float)

    def orthonormalize(self, basis):
        """Compute an orthonormal basis of the column space of `basis`."""
        variances, directions = np.linalg.eigh(basis.T @ basis)
        kept = variances > 1e-9 * variances[-1]
        return basis @ (directions[:, kept] / np.sqrt(variances[kept]))

    def project(self, profile, span):
        """Compute the least-squares fit of the profile."""
        return span @ (span.T @ profile)

    def strongest_rows(self, profile):
        inner = np.pad(profile, 1, constant_values=-np.inf)
        peaks = np.flatnonzero((inner[1:-1] > inner[:-2]) & (inner[1:-1] >= inner[2:]))
        return set(peaks[np.argsort(profile[peaks])[-3:]].tolist())

    def test_head_of_the_paper_cannot_fit_any_chord(self):
        """Its profiles are linear combinations of the upsampling matrix as shifted by the three kernel rows."""
        span = self.orthonormalize(separable.shift_by_taps(linear.resample_matrix(28, self.SIZE)).astype(float))
        explained = []
        for label in range(10):
            profile = self.chord(label)
            fit = self.project(profile, span)
            assert self.strongest_rows(fit) != set(theory.chord_rows(label).tolist())
            explained.append(1 - ((profile - fit) ** 2).sum() / ((profile - profile.mean()) ** 2).sum())
        assert np.mean(explained) < 0.7

    def test_learned_rows_can_fit_every_chord(self):
        """The row matrix of a channel is unconstrained: one of its 28 columns can be any profile."""
        for label in range(10):
            profile = self.chord(label)
            assert self.strongest_rows(self.project(profile, self.orthonormalize(profile[:, None]))) == set(
                theory.chord_rows(label).tolist()
            )

    def test_maxima_of_the_head_of_the_paper_are_near_the_upsampling_knots(self):
        """Between the points of the small map the profile is linear, whatever the map."""
        basis = separable.shift_by_taps(linear.resample_matrix(28, self.SIZE)).astype(float)
        for _ in range(20):
            profile = basis @ RNG.standard_normal(basis.shape[1])
            inner = np.pad(profile, 1, constant_values=-np.inf)
            peaks = np.flatnonzero((inner[1:-1] > inner[:-2]) & (inner[1:-1] > inner[2:]))
            inside = peaks[(peaks > 1) & (peaks < self.SIZE - 2)]
            assert np.all(np.abs((inside - 17.5 + 18) % 36 - 18) <= 2)
