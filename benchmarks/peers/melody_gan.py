"""python -m benchmarks.peers.melody_gan: a training step of MELodyGAN's networks, for one genre, in plain PyTorch."""

from typing import Any

from benchmarks.peers import timing

LATENT, MELS, FRAMES = 100, 128, 431


def make_networks() -> tuple[Any, Any]:
    """Build generator and discriminator of the paper's third approach, with 1,690,081 and 56,545 parameters.

    The kernels are those of `specjax.papers.melody.paper_model`; the paper does not give its own.
    """
    from torch import nn

    def up(channels: int, features: int, *window: Any) -> list[Any]:
        return [nn.ConvTranspose2d(channels, features, *window, bias=False), nn.BatchNorm2d(features), nn.ReLU()]

    def down(channels: int, features: int, *window: Any) -> list[Any]:
        return [nn.Conv2d(channels, features, *window, bias=False), nn.BatchNorm2d(features), nn.LeakyReLU(0.2)]

    generator = nn.Sequential(
        *up(LATENT, 64, (16, 16)),
        *up(64, 32, (4, 5), (2, 3), 1),
        *up(32, 16, (4, 5), (2, 3), 1),
        nn.ConvTranspose2d(16, 1, (4, 4), (2, 3), 1),
        nn.ReLU(),
    )
    discriminator = nn.Sequential(
        *down(1, 64, (4, 4), (2, 3), 1),
        *down(64, 32, (4, 5), (2, 3), 1),
        *down(32, 16, (4, 5), (2, 3), 1),
        nn.Conv2d(16, 1, (16, 16)),
        nn.Flatten(0),
    )
    return generator, discriminator


def main() -> None:
    args = timing.parse_arguments("step of both networks of the GAN with PyTorch: least squares, Adam", batch=10)
    import torch
    from torch.nn.functional import mse_loss

    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    generator, discriminator = make_networks()
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999)) for network in (generator, discriminator)
    ]
    real = torch.rand(args.batch, 1, MELS, FRAMES)
    ones, zeros = torch.ones(args.batch), torch.zeros(args.batch)

    def generate() -> Any:
        return generator(torch.randn(args.batch, LATENT, 1, 1))

    def step() -> None:
        optimizers[1].zero_grad()
        fake = generate().detach()
        (0.5 * (mse_loss(discriminator(real), ones) + mse_loss(discriminator(fake), zeros))).backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        (0.5 * mse_loss(discriminator(generate()), ones)).backward()
        optimizers[0].step()

    timing.run("pytorch", "gan_step", step, args.batch, args.repeats)


if __name__ == "__main__":
    main()
