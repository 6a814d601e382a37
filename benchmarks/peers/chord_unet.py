"""python -m benchmarks.peers.chord_unet: a training step of the chord paper's U-Net with plain PyTorch."""

from typing import Any

from benchmarks.peers import timing

SIZE = 1008


def make_network() -> Any:
    """Build the U-Net of the chord paper's authors (section 3), with 2,722,753 parameters.

    It maps `(batch, 1, 28, 28)` digits to `(batch, 1, 1008, 1008)` spectrograms. The feature maps are upsampled to
    1008x1008 before the last convolution.
    """
    import torch
    from torch import nn

    def convs(in_channels: int, width: int, depth: int, activation: Any) -> Any:
        layers = []
        for i in range(depth):
            layers += [nn.Conv2d(in_channels if i == 0 else width, width, 3, padding=1), activation]
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            relu, leaky = nn.ReLU(), nn.LeakyReLU(0.2)
            self.encode_fine, self.encode_middle = convs(1, 64, 3, relu), convs(64, 128, 3, relu)
            self.bottleneck = convs(128, 256, 2, leaky)
            self.up_middle = nn.ConvTranspose2d(256, 128, 4, 2, 1)
            self.decode_middle = convs(256, 128, 3, relu)
            self.up_fine = nn.ConvTranspose2d(128, 64, 4, 2, 1)
            self.decode_fine = convs(128, 64, 3, relu)
            self.last = nn.Conv2d(64, 1, 3, padding=1)

        def forward(self, x: Any) -> Any:
            fine = self.encode_fine(x)
            middle = self.encode_middle(nn.functional.max_pool2d(fine, 2))
            x = self.bottleneck(nn.functional.max_pool2d(middle, 2))
            x = self.decode_middle(torch.cat([self.up_middle(x), middle], 1))
            x = self.decode_fine(torch.cat([self.up_fine(x), fine], 1))
            x = nn.functional.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
            return nn.functional.leaky_relu(self.last(x), 0.01)

    return UNet()


def main() -> None:
    args = timing.parse_arguments("U-Net step with PyTorch: Huber + 0.1 (1 - MS-SSIM), Adam", batch=2)
    import torch
    from pytorch_msssim import ms_ssim

    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    net = make_network()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    digits, targets = torch.rand(args.batch, 1, 28, 28), torch.rand(args.batch, 1, SIZE, SIZE)

    def step() -> None:
        optimizer.zero_grad()
        pictures = net(digits)
        similarity = ms_ssim(pictures, targets, data_range=1.0)
        (torch.nn.functional.huber_loss(pictures, targets) + 0.1 * (1 - similarity)).backward()
        optimizer.step()

    timing.run("pytorch", "step_paper_ms_ssim", step, args.batch, args.repeats)


if __name__ == "__main__":
    main()
