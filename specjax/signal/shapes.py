"""The arrays of sound: batch axes first, samples or frames last."""

from jaxtyping import Array, Complex, Float

Wave = Float[Array, "*batch samples"]
Spectrum = Complex[Array, "*batch bins frames"]
Magnitude = Float[Array, "*batch bins frames"]
Phase = Float[Array, "*batch bins frames"]  # in radians
Rows = Float[Array, "*batch rows frames"]  # bins, or filters of them
Bins = Float[Array, "*batch bins"]  # of one frame
ByFrame = Float[Array, "*batch frames"]
