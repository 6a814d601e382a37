"""The published phase reconstruction algorithms as plain float64 loops: references for the tests.

Every function processes a single clip. Arrays are `(bins, frames)`; phases are relative to the centers of frames unless
stated otherwise.
"""

import heapq

import numpy as np
import scipy.signal
import scipy.sparse

GAMMA = {"hann": 0.25645, "hamming": 0.29794, "blackman": 0.17954}


def spectrum(wave, n_fft, hop, window="hann"):
    """Compute the STFT of a zero-padded wave; frame t is centered on sample `t * hop`."""
    taper = scipy.signal.get_window(window, n_fft)
    padded = np.pad(wave, n_fft // 2)
    starts = range(0, len(padded) - n_fft + 1, hop)
    return np.array([np.fft.rfft(padded[s : s + n_fft] * taper) for s in starts]).T


def inverse(spectrogram, n_fft, hop, length, window="hann"):
    """Compute the least-squares inverse of `spectrum`."""
    taper = scipy.signal.get_window(window, n_fft)
    frames = np.fft.irfft(spectrogram, n_fft, axis=0)
    total = np.zeros(n_fft + hop * (frames.shape[1] - 1))
    weight = np.zeros_like(total)
    for t in range(frames.shape[1]):
        total[t * hop : t * hop + n_fft] += frames[:, t] * taper
        weight[t * hop : t * hop + n_fft] += taper**2
    wave = total / np.where(weight > 1e-9, weight, 1)
    return np.pad(wave[n_fft // 2 :], (0, length))[:length]


def relative_to_start(phase, n_fft):
    """Convert phases relative to the centers of frames to phases relative to their first samples."""
    return phase - 2 * np.pi * np.arange(phase.shape[0])[:, None] * (n_fft // 2) / n_fft


def convergence_db(wave, magnitude, n_fft, hop, window="hann"):
    """Compute the spectral convergence in dB: distance of the wave's magnitudes from the given ones."""
    error = np.abs(spectrum(wave, n_fft, hop, window)) - magnitude
    return 20 * np.log10(np.linalg.norm(error) / np.linalg.norm(magnitude))


def griffin_lim(magnitude, phase, n_fft, hop, length, iterations, momentum):
    """Reconstruct a wave by fast Griffin-Lim, with momentum as in librosa."""
    z, last = magnitude * np.exp(1j * phase), 0
    for _ in range(iterations):
        rebuilt = spectrum(inverse(z, n_fft, hop, length), n_fft, hop)
        extrapolated = rebuilt - momentum / (1 + momentum) * last
        z, last = magnitude * extrapolated / (np.abs(extrapolated) + 1e-16), rebuilt
    return inverse(z, n_fft, hop, length)


def scipy_transform(n_fft, hop, window="hann"):
    """Return scipy's STFT and its inverse as functions, with the same frames as `spectrum`."""
    taper = scipy.signal.get_window(window, n_fft)
    options = {"window": taper, "nperseg": n_fft, "noverlap": n_fft - hop}

    def forward(wave):
        # Scipy divides by the sum of the window. Padding to whole frames would add one, which `spectrum` has not.
        frames = 1 + len(wave) // hop
        return scipy.signal.stft(wave, **options, padded=True)[2][:, :frames] * taper.sum()

    def backward(spectrogram, length):
        return inverse(spectrogram, n_fft, hop, length, window)

    return forward, backward


def accelerated_griffin_lim(magnitude, phase, n_fft, hop, length, iterations, alpha, beta, gamma):
    """Reconstruct a wave by accelerated Griffin-Lim (Nenov et al. 2023, algorithm 3), iterated on spectra."""
    forward, backward = scipy_transform(n_fft, hop)
    c = forward(backward(magnitude * np.exp(1j * phase), length))
    t, d = c, c
    for _ in range(iterations):
        projected = forward(backward(magnitude * np.exp(1j * np.angle(c)), length))
        new = (1 - gamma) * d + gamma * projected
        c, d, t = new + alpha * (new - t), new + beta * (new - t), new
    return backward(t, length)


def subset_griffin_lim(magnitude, phase, n_fft, hop, length, iterations, momentum, subsets):
    """Reconstruct a wave by fast Griffin-Lim, whose steps use every `subsets`-th frame in turn."""
    taper = scipy.signal.get_window("hann", n_fft)
    wave = previous = inverse(magnitude * np.exp(1j * phase), n_fft, hop, length)
    for step in range(iterations * subsets):
        begin = np.pad(wave + momentum * (wave - previous), (n_fft // 2, n_fft))
        total, weight = np.zeros_like(begin), np.zeros_like(begin)
        for t in range(step % subsets, magnitude.shape[1], subsets):
            span = slice(t * hop, t * hop + n_fft)
            z = np.fft.rfft(begin[span] * taper)
            total[span] += taper * np.fft.irfft(magnitude[:, t] * np.exp(1j * np.angle(z)) - z, n_fft)
            weight[span] += taper**2
        corrected = begin + total / np.maximum(weight, 0.2 * weight.max())
        wave, previous = corrected[n_fft // 2 : n_fft // 2 + length], wave
    return wave


def admm(magnitude, wave, n_fft, hop, iterations, rho):
    """Reconstruct a wave by ADMM (Masuyama, Yatabe and Oikawa 2019, algorithm 1), written with its three variables."""
    forward, backward = scipy_transform(n_fft, hop)
    x, dual = forward(wave), 0
    for _ in range(iterations):
        y = x + dual
        z = (rho * y + forward(backward(y, len(wave)))) / (1 + rho)
        x = magnitude * np.exp(1j * np.angle(z - (y - z)))
        dual = y - z
    return backward(x + dual, len(wave))


def spsi(magnitude, n_fft, hop):
    """Estimate phases by single pass spectrogram inversion (Beauregard, Harish and Wyse 2015)."""
    bins, frames = magnitude.shape
    phase, last = np.zeros((bins, frames)), np.zeros(bins)
    for t in range(frames):
        m = magnitude[:, t]
        new = last.copy()
        peaks = [k for k in range(1, bins - 1) if m[k] > m[k - 1] and m[k] >= m[k + 1]]
        for k in peaks:
            shift = 0.5 * (m[k - 1] - m[k + 1]) / (m[k - 1] - 2 * m[k] + m[k + 1])
            value = last[k] + 2 * np.pi * hop * (k + shift) / n_fft
            new[k] = value
            j = k - 1
            while j >= 0 and m[j] <= m[j + 1]:
                new[j] = value
                j -= 1
            j = k + 1
            while j < bins and m[j] < m[j - 1]:
                new[j] = value
                j += 1
        phase[:, t] = last = new
    return phase


def gradients(magnitude, n_fft, hop, window="hann"):
    """Estimate the phase steps in radians from frame to frame, and from bin to bin, at every point."""
    log = np.log(np.maximum(magnitude, 1e-10 * magnitude.max()))
    ratio = GAMMA[window] * n_fft**2 / (hop * n_fft)
    by_bin, by_frame = np.pad(log, ((1, 1), (0, 0)), mode="edge"), np.pad(log, ((0, 0), (1, 1)), mode="edge")
    in_time = 2 * np.pi * hop * np.arange(log.shape[0])[:, None] / n_fft + (by_bin[2:] - by_bin[:-2]) / 2 / ratio
    return in_time, -ratio * (by_frame[:, 2:] - by_frame[:, :-2]) / 2


def pghi(magnitude, n_fft, hop, window="hann", tolerances=(1e-10,)):
    """Run algorithm 1 of Prusa et al. 2017 once for each tolerance; the authors' program uses 1e-1 and 1e-10."""
    in_time, in_frequency = gradients(magnitude, n_fft, hop, window)
    phase, done = np.zeros(magnitude.shape), np.zeros(magnitude.shape, bool)
    for tolerance in tolerances:
        allowed = magnitude >= tolerance * magnitude.max()
        heap = [(-magnitude[point], point) for point in zip(*np.nonzero(done), strict=True)]
        heapq.heapify(heap)
        order = sorted(zip(*np.nonzero(allowed), strict=True), key=lambda point: -magnitude[point])
        for start in order:
            if not heap and not done[start]:
                done[start] = True
                heapq.heappush(heap, (-magnitude[start], start))
            while heap:
                _, (k, t) = heapq.heappop(heap)
                for j, s in ((k, t + 1), (k, t - 1), (k + 1, t), (k - 1, t)):
                    inside = 0 <= j < magnitude.shape[0] and 0 <= s < magnitude.shape[1]
                    if inside and allowed[j, s] and not done[j, s]:
                        turn = (s - t) * (in_time[k, t] + in_time[j, s]) / 2
                        turn += (j - k) * (in_frequency[k, t] + in_frequency[j, s]) / 2
                        phase[j, s], done[j, s] = phase[k, t] + turn, True
                        heapq.heappush(heap, (-magnitude[j, s], (j, s)))
    return phase


def loudest_tree(magnitude, n_fft, hop, window="hann"):
    """Integrate phases along the spanning tree whose faintest edges are the loudest, from the loudest point."""
    in_time, in_frequency = gradients(magnitude, n_fft, hop, window)
    bins, frames = magnitude.shape
    index, log = np.arange(magnitude.size).reshape(bins, frames), np.log(magnitude).reshape(-1)
    ends = np.concatenate([
        np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()], 1), np.stack([index[:-1].ravel(), index[1:].ravel()], 1)
    ])  # fmt: skip
    turn = np.concatenate([
        ((in_time[:, :-1] + in_time[:, 1:]) / 2).ravel(), ((in_frequency[:-1] + in_frequency[1:]) / 2).ravel()
    ])  # fmt: skip
    fainter, louder = np.sort(log[ends], axis=1).T
    cost = np.empty(len(ends))
    cost[np.lexsort((louder, fainter))[::-1]] = np.arange(1, len(ends) + 1)
    cost = scipy.sparse.csr_matrix((cost, ends.T), shape=(magnitude.size,) * 2)
    turns = scipy.sparse.csr_matrix((turn, ends.T), shape=(magnitude.size,) * 2)
    tree = scipy.sparse.csgraph.minimum_spanning_tree(cost)
    order, parent = scipy.sparse.csgraph.breadth_first_order(tree, log.argmax(), directed=False)
    signed = (turns - turns.T).tocsr()
    phase = np.zeros(magnitude.size)
    steps = np.asarray(signed[parent[order[1:]], order[1:]]).ravel()
    for point, step in zip(order[1:], steps, strict=True):
        phase[point] = phase[parent[point]] + step
    return phase.reshape(bins, frames)


def rtisi_la(magnitude, n_fft, hop, look_ahead=3, iterations=8):
    """Estimate phases relative to the first samples of frames, with a Hann window, by RTISI-LA as published.

    The squares of the overlapping windows add up to 1. Frames are analyzed with the same window, except the newest: two
    asymmetric windows compensate for the frames that are still to come, and at first for the newest frame itself. The
    last frame is repeated to fill the look-ahead.
    """
    taper = scipy.signal.get_window("hann", n_fft)
    taper *= np.sqrt(hop / (taper**2).sum())
    bins, count = magnitude.shape
    reach = n_fft // hop - 1
    squares = np.pad(taper**2, (n_fft, 0))
    earlier = sum(np.append(squares[n_fft + k * hop :], np.zeros(k * hop)) for k in range(1, reach + 1))
    newest_missing, newest_added = taper / np.maximum(earlier, 1e-3), taper / np.maximum(earlier + taper**2, 1e-3)
    total = np.zeros(n_fft + hop * (count + look_ahead))
    frames, phases = np.zeros((count + look_ahead, n_fft)), np.zeros((bins, count + look_ahead))
    for t in range(count + look_ahead):
        for iteration in range(iterations):
            for s in range(t, max(t - look_ahead, 0) - 1, -1):
                span = slice(s * hop, s * hop + n_fft)
                window = taper if s < t else newest_added if iteration else newest_missing
                z = np.fft.rfft(total[span] * window)
                phases[:, s] = np.where(np.abs(z) > 1e-10, np.angle(z), np.pi * np.arange(bins))
                frame = np.fft.irfft(magnitude[:, min(s, count - 1)] * np.exp(1j * phases[:, s]), n_fft) * taper
                total[span] += frame - frames[s]
                frames[s] = frame
    return phases[:, :count]


def heap_sources(previous, current):
    """Find the bin of the previous frame from which the real-time heap reaches each bin of the current frame."""
    bins = len(current)
    source = np.full(bins, -1)
    heap = [(-value, 0, k) for k, value in enumerate(previous)]
    heapq.heapify(heap)
    while (source < 0).any():
        _, in_current, k = heapq.heappop(heap)
        for j, origin in ((k, k),) if in_current == 0 else ((k - 1, source[k]), (k + 1, source[k])):
            if 0 <= j < bins and source[j] < 0:
                source[j] = origin
                heapq.heappush(heap, (-current[j], 1, j))
    return source


def rtpghi(magnitude, n_fft, hop, window="hann"):
    """Estimate phases frame by frame with one look-ahead frame; the first frame is assumed to be repeated before."""
    magnitude = np.concatenate([magnitude[:, :1], magnitude], axis=1)
    in_time, in_frequency = gradients(magnitude, n_fft, hop, window)
    phase = np.zeros(magnitude.shape)
    for t in range(magnitude.shape[1]):
        along_bins = np.concatenate([[0], np.cumsum((in_frequency[1:, t] + in_frequency[:-1, t]) / 2)])
        previous = max(t - 1, 0)
        source = heap_sources(magnitude[:, previous], magnitude[:, t])
        arrived = phase[:, previous] + (in_time[:, previous] + in_time[:, t]) / 2
        phase[:, t] = arrived[source] + along_bins - along_bins[source]
    return phase[:, 1:]
