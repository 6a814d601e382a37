"""python -m benchmarks.peers.texture_style: loss and gradient of Ulyanov's style transfer in plain PyTorch."""

from benchmarks.peers import timing

BINS, FRAMES, WIDTH, FILTERS = 257, 856, 11, 4096
CONTENT_WEIGHT = 1e-2


def main() -> None:
    args = timing.parse_arguments("iteration of style transfer with PyTorch: one layer of 4096 filters", batch=1)
    import torch
    from torch.nn.functional import conv1d, relu

    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    kernel = torch.randn(FILTERS, BINS, WIDTH) * 2 / ((BINS + FILTERS) * WIDTH) ** 0.5

    def features(x: "torch.Tensor") -> "torch.Tensor":
        return relu(conv1d(x, kernel))

    def gram(x: "torch.Tensor") -> "torch.Tensor":
        return x @ x.transpose(1, 2) / x.shape[2]

    content, style = (torch.randn(args.batch, BINS, FRAMES).abs().log1p() for _ in range(2))
    with torch.no_grad():
        content_features, style_gram = features(content), gram(features(style))
    point = content.clone().requires_grad_(True)

    def step() -> None:
        point.grad = None
        current = features(point)
        loss = CONTENT_WEIGHT * ((current - content_features) ** 2).sum() + ((gram(current) - style_gram) ** 2).sum()
        loss.backward()

    timing.run("pytorch", "style", step, args.batch, args.repeats)


if __name__ == "__main__":
    main()
