"""python -m benchmarks.peers.texture_classifier: a training step of the texture paper's classifier in plain PyTorch."""

from benchmarks.peers import timing

BINS, FRAMES, WIDTH = 257, 856, 11
CLASSES, CENTROID_CLASSES = 50, 16


def main() -> None:
    args = timing.parse_arguments("classifier step with PyTorch: two tasks, Adam", batch=20)
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    body = nn.Sequential(
        nn.Conv1d(BINS, 2048, WIDTH, padding="same"),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(2048, 64, WIDTH, padding="same"),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(64 * (FRAMES // 4), 32),
        nn.ReLU(),
    )
    label_head, centroid_head = nn.Linear(32, CLASSES), nn.Linear(32, CENTROID_CLASSES)
    network = nn.ModuleList([body, label_head, centroid_head])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    levels = torch.rand(args.batch, BINS, FRAMES)
    label, centroid = (torch.randint(n, (args.batch,)) for n in (CLASSES, CENTROID_CLASSES))

    def step() -> None:
        optimizer.zero_grad()
        features = body(levels)
        loss = cross_entropy(label_head(features), label) + cross_entropy(centroid_head(features), centroid)
        loss.backward()
        optimizer.step()

    timing.run("pytorch", "classifier_step", step, args.batch, args.repeats)


if __name__ == "__main__":
    main()
