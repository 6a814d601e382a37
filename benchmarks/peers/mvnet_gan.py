"""python -m benchmarks.peers.mvnet_gan: a training step of MVNet's cDCGAN, in plain PyTorch."""

from itertools import pairwise
from typing import Any

from benchmarks.peers import timing

LATENT, EMBEDDING, SIZE = 100, 10, 64
REAL, FAKE = 0.8, 0.2  # smoothed targets of the discriminator


def make_networks() -> tuple[Any, Any]:
    """Build generator and discriminator of the paper, with 8,114,037 and 7,496,385 parameters."""
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.query = nn.Conv2d(channels, channels // 8, 1)
            self.key = nn.Conv2d(channels, channels // 8, 1)
            self.value = nn.Conv2d(channels, channels, 1)
            self.gamma = nn.Parameter(torch.zeros(1))

        def forward(self, x: Any) -> Any:
            query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
            weights = torch.softmax(query.transpose(1, 2) @ key, dim=-1)
            return x + self.gamma * (value @ weights.transpose(1, 2)).view_as(x)

    blocks: list[Any] = []
    for i, (channels, features) in enumerate(pairwise((1024, 512, 256, 128, 64))):
        blocks += [
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(channels, features, 3, padding=1),
            nn.InstanceNorm2d(features),
            nn.LeakyReLU(0.2),
        ]
        blocks += [Attention(features)] if i >= 2 else []
    generator = nn.Sequential(
        nn.Linear(LATENT + EMBEDDING, 16 * 1024),
        nn.LeakyReLU(0.2),
        nn.Unflatten(1, (1024, 4, 4)),
        *blocks,
        nn.Conv2d(64, 3, 3, padding=1),
        nn.Tanh(),
    )
    layers: list[Any] = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
    for channels, features, window in ((64, 128, (4, 2, 1)), (128, 256, (4, 2, 1)), (256, 512, (4, 2, 1))):
        layers += [nn.Conv2d(channels, features, *window), nn.BatchNorm2d(features), nn.LeakyReLU(0.2)]
    layers += [nn.Conv2d(512, 1024, 3, 1, 1), nn.BatchNorm2d(1024), nn.LeakyReLU(0.2)]
    return generator, nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 1024, 1), nn.Flatten(0))


def main() -> None:
    args = timing.parse_arguments("step of both networks of the cDCGAN with PyTorch: smoothed BCE, Adam", batch=15)
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as bce

    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    generator, discriminator = make_networks()
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.999))
        for network, rate in ((generator, 2e-4), (discriminator, 5e-5))
    ]
    pictures = 2 * torch.rand(args.batch, 3, SIZE, SIZE) - 1
    embedding = torch.randn(args.batch, EMBEDDING)
    real, fake, one = (torch.full((args.batch,), target) for target in (REAL, FAKE, 1.0))

    def paint() -> Any:
        return generator(torch.cat([torch.randn(args.batch, LATENT), embedding], 1))

    def step() -> None:
        optimizers[1].zero_grad()
        painted = paint().detach()
        (0.5 * (bce(discriminator(pictures), real) + bce(discriminator(painted), fake))).backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        bce(discriminator(paint()), one).backward()
        optimizers[0].step()

    timing.run("pytorch", "cdcgan_step", step, args.batch, args.repeats)


if __name__ == "__main__":
    main()
