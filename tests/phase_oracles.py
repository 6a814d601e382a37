"""The published algorithms as loops over one place after another, in float64: what ours is held against.

Everything here is of one clip, arrays `(bins, frames)`; phases are relative to the centres of frames.
"""

import heapq

import numpy as np
import scipy.signal
import scipy.sparse

GAMMA = {"hann": 0.25645, "hamming": 0.29794, "blackman": 0.17954}


def spectrum(wave, n_fft, hop, window="hann"):
    """STFT of a wave that begins and ends in silence long enough; frame t is centred on sample t hop."""
    taper = scipy.signal.get_window(window, n_fft)
    padded = np.pad(wave, n_fft // 2)
    starts = range(0, len(padded) - n_fft + 1, hop)
    return np.array([np.fft.rfft(padded[s : s + n_fft] * taper) for s in starts]).T


def wave_of(spectrogram, n_fft, hop, length, window="hann"):
    """Least-squares inverse of `spectrum`."""
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
    return phase - 2 * np.pi * np.arange(phase.shape[0])[:, None] * (n_fft // 2) / n_fft


def convergence_db(wave, magnitude, n_fft, hop, window="hann"):
    """Spectral convergence: how far the wave's magnitudes are from those given."""
    error = np.abs(spectrum(wave, n_fft, hop, window)) - magnitude
    return 20 * np.log10(np.linalg.norm(error) / np.linalg.norm(magnitude))


def griffin_lim(magnitude, phase, n_fft, hop, length, iterations, momentum):
    z, last = magnitude * np.exp(1j * phase), 0
    for _ in range(iterations):
        rebuilt = spectrum(wave_of(z, n_fft, hop, length), n_fft, hop)
        moved = rebuilt - momentum / (1 + momentum) * last
        z, last = magnitude * moved / (np.abs(moved) + 1e-16), rebuilt
    return wave_of(z, n_fft, hop, length)


def spsi(magnitude, n_fft, hop):
    bins, frames = magnitude.shape
    phase, last = np.zeros((bins, frames)), np.zeros(bins)
    for t in range(frames):
        m = magnitude[:, t]
        new = last.copy()
        tops = [k for k in range(1, bins - 1) if m[k] > m[k - 1] and m[k] >= m[k + 1]]
        for k in tops:
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
    """Radians from frame to frame, and from bin to bin, at every place."""
    log = np.log(np.maximum(magnitude, 1e-10 * magnitude.max()))
    ratio = GAMMA[window] * n_fft**2 / (hop * n_fft)
    up, on = np.pad(log, ((1, 1), (0, 0)), mode="edge"), np.pad(log, ((0, 0), (1, 1)), mode="edge")
    in_time = 2 * np.pi * hop * np.arange(log.shape[0])[:, None] / n_fft + (up[2:] - up[:-2]) / 2 / ratio
    return in_time, -ratio * (on[:, 2:] - on[:, :-2]) / 2


def pghi(magnitude, n_fft, hop, window="hann", tolerances=(1e-10,)):
    """Algorithm 1 of the paper, run once for each tolerance; its authors' program takes 1e-1 and 1e-10."""
    in_time, in_frequency = gradients(magnitude, n_fft, hop, window)
    phase, done = np.zeros(magnitude.shape), np.zeros(magnitude.shape, bool)
    for tolerance in tolerances:
        allowed = magnitude >= tolerance * magnitude.max()
        heap = [(-magnitude[place], place) for place in zip(*np.nonzero(done), strict=True)]
        heapq.heapify(heap)
        order = sorted(zip(*np.nonzero(allowed), strict=True), key=lambda place: -magnitude[place])
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
    """Phases along the spanning tree whose faintest crossings are the loudest, from its loudest place."""
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
    for place, step in zip(order[1:], steps, strict=True):
        phase[place] = phase[parent[place]] + step
    return phase.reshape(bins, frames)


def rtisi_la(magnitude, n_fft, hop, look_ahead=3, iterations=8):
    """Phases relative to the first samples of frames; Hann window; after the last frame it is taken to go on.

    As published, frames are added up by windows whose squares add up to 1, and read by the same window; the newest by
    two asymmetric ones, which make up for frames that are still to come, and for itself as long as it is not there.
    """
    taper = scipy.signal.get_window("hann", n_fft)
    taper *= np.sqrt(hop / (taper**2).sum())
    bins, count = magnitude.shape
    reach = n_fft // hop - 1
    squares = np.pad(taper**2, (n_fft, 0))
    earlier = sum(np.append(squares[n_fft + k * hop :], np.zeros(k * hop)) for k in range(1, reach + 1))
    before, newest = taper / np.maximum(earlier, 1e-3), taper / np.maximum(earlier + taper**2, 1e-3)
    total = np.zeros(n_fft + hop * (count + look_ahead))
    frames, phases = np.zeros((count + look_ahead, n_fft)), np.zeros((bins, count + look_ahead))
    for t in range(count + look_ahead):
        for turn in range(iterations):
            for s in range(t, max(t - look_ahead, 0) - 1, -1):
                stretch = slice(s * hop, s * hop + n_fft)
                window = taper if s < t else newest if turn else before
                z = np.fft.rfft(total[stretch] * window)
                phases[:, s] = np.where(np.abs(z) > 1e-10, np.angle(z), np.pi * np.arange(bins))
                made = np.fft.irfft(magnitude[:, min(s, count - 1)] * np.exp(1j * phases[:, s]), n_fft) * taper
                total[stretch] += made - frames[s]
                frames[s] = made
    return phases[:, :count]


def heap_sources(before, here):
    """The bin of the frame before that the real-time heap reaches each bin of this frame from."""
    bins = len(here)
    source = np.full(bins, -1)
    heap = [(-value, 0, k) for k, value in enumerate(before)]
    heapq.heapify(heap)
    while (source < 0).any():
        _, this, k = heapq.heappop(heap)
        for j, origin in ((k, k),) if this == 0 else ((k - 1, source[k]), (k + 1, source[k])):
            if 0 <= j < bins and source[j] < 0:
                source[j] = origin
                heapq.heappush(heap, (-here[j], 1, j))
    return source


def rtpghi(magnitude, n_fft, hop, window="hann"):
    """Frame by frame, with the next frame known; the first frame is taken to have been there once before."""
    magnitude = np.concatenate([magnitude[:, :1], magnitude], axis=1)
    in_time, in_frequency = gradients(magnitude, n_fft, hop, window)
    phase = np.zeros(magnitude.shape)
    for t in range(magnitude.shape[1]):
        level = np.concatenate([[0], np.cumsum((in_frequency[1:, t] + in_frequency[:-1, t]) / 2)])
        p = max(t - 1, 0)
        source = heap_sources(magnitude[:, p], magnitude[:, t])
        arrived = phase[:, p] + (in_time[:, p] + in_time[:, t]) / 2
        phase[:, t] = arrived[source] + level - level[source]
    return phase[:, 1:]
