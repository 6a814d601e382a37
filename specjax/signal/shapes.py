"""Array types for audio. Batch axes come first, and samples or frames are on the last axis."""

from jaxtyping import Array, Complex, Float

Wave = Float[Array, "*batch samples"]
Spectrum = Complex[Array, "*batch bins frames"]
Magnitude = Float[Array, "*batch bins frames"]
Phase = Float[Array, "*batch bins frames"]  # in radians
Rows = Float[Array, "*batch rows frames"]  # a row is a frequency bin or a mel filter
Bins = Float[Array, "*batch bins"]  # values of a single frame
ByFrame = Float[Array, "*batch frames"]  # one value per frame
