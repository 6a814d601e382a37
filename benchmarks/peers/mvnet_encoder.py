"""python -m benchmarks.peers.mvnet_encoder: a training step of MVNet's encoder on triplets, in plain PyTorch."""

from itertools import pairwise
from typing import Any

from benchmarks.peers import timing

MELS, FRAMES = 128, 256


def make_encoder() -> Any:
    """Build the encoder of the paper, with 11,263,402 parameters."""
    from torch import nn

    layers: list[Any] = []
    for channels, features in pairwise((3, 32, 64, 128, 256, 512, 1024)):
        layers += [nn.Conv2d(channels, features, 4, 2, 1), nn.BatchNorm2d(features), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8192, 10))


def main() -> None:
    args = timing.parse_arguments("step of the encoder with PyTorch: triplet margin loss, Adam", batch=1)
    import torch

    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    encoder = make_encoder()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=5e-5, betas=(0.5, 0.999))
    criterion = torch.nn.TripletMarginLoss(margin=3.0, p=5)
    triplet = [torch.randn(args.batch, 3, MELS, FRAMES) for _ in range(3)]

    def step() -> None:
        optimizer.zero_grad()
        criterion(*(encoder(clips) for clips in triplet)).backward()
        optimizer.step()

    timing.run("pytorch", "encoder_step", step, args.batch, args.repeats)


if __name__ == "__main__":
    main()
