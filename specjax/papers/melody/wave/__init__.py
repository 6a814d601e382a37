"""GAN that generates waves of music directly: the paper's proposal to model the sound itself (section 5.3)."""
