"""Array types of audio: batch axes first, samples or frames last."""

from jaxtyping import Array, Complex, Float

Wave = Float[Array, "*batch samples"]
Spectrum = Complex[Array, "*batch bins frames"]
Magnitude = Float[Array, "*batch bins frames"]
Phase = Float[Array, "*batch bins frames"]  # in radians
Rows = Float[Array, "*batch rows frames"]  # a row is a bin, or a filter over bins
Bins = Float[Array, "*batch bins"]  # a single frame
ByFrame = Float[Array, "*batch frames"]
