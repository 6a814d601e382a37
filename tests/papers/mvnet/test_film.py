"""Pieces that are read in chunks, and films that move on the beats."""

import jax
import numpy as np
import pytest
from tiny_museum import ERAS

from specjax.cli.errors import UserError
from specjax.data.beats import Beats
from specjax.papers.mvnet import chunks, film
from specjax.papers.mvnet.config import GanConfig
from specjax.papers.mvnet.dataset import MuseumConfig
from specjax.papers.mvnet.encoder import EncoderConfig, EncoderInference
from specjax.papers.mvnet.film import Beat, Target
from specjax.papers.mvnet.inference import GanInference, OpenEncoder, Painter
from specjax.papers.mvnet.model import ModelConfig
from specjax.papers.mvnet.representation import CLIP_SAMPLES, SAMPLE_RATE, Representation


@pytest.mark.parametrize("block", [1, 7, 100])
@pytest.mark.parametrize("samples", [5, 20, 33, 99])
def test_chunks_cover_the_piece_once_and_have_their_surroundings(samples, block):
    piece = np.arange(samples, dtype=np.float32)
    blocks = [piece[start : start + block] for start in range(0, samples, block)]
    found = list(chunks.split(blocks, margin=4, length=10))
    assert [chunk.start for chunk in found[1:]] == [chunk.end for chunk in found[:-1]]
    assert (found[0].start, found[-1].end) == (0, samples)
    for chunk in found:
        first, end = max(chunk.start - 4, 0), min(chunk.end + 4, samples)
        assert chunk.first == first
        np.testing.assert_array_equal(chunk.wave, piece[first:end])


def test_clips_are_those_of_the_whole_piece(monkeypatch):
    piece = np.random.default_rng(0).standard_normal(3 * CLIP_SAMPLES + 17).astype(np.float32)
    starts = np.array([0, 5, CLIP_SAMPLES, 2 * CLIP_SAMPLES + 17])
    clips = list(chunks.cut(np.array_split(piece, 11), starts))
    for clip, start in zip(clips, starts, strict=True):
        np.testing.assert_array_equal(clip, piece[start : start + CLIP_SAMPLES])


def test_beats_have_the_clips_around_them_in_every_part(monkeypatch):
    """Beats every 2 s of the piece, as a tracker would find them in each chunk, whose samples are their own indices."""

    def track(wave, sample_rate):
        numbers = np.arange(np.ceil(wave[0] / (2 * SAMPLE_RATE)) * 2 * SAMPLE_RATE, wave[-1], 2 * SAMPLE_RATE)
        return Beats(30.0, (numbers - wave[0]) / sample_rate)

    monkeypatch.setattr(film.beats, "track", track)
    piece = np.arange(130 * SAMPLE_RATE, dtype=np.float32)  # exact up to 2^24
    found = list(film.find_beats(np.array_split(piece, 9)))
    np.testing.assert_allclose([beat.time_s for beat in found], np.arange(0, 131, 2), atol=1e-3)
    middles = np.array([beat.clip[len(beat.clip) // 2] for beat in found]) / SAMPLE_RATE
    np.testing.assert_allclose(middles, np.clip(np.arange(0, 131, 2), 4.455, 130 - 4.455), atol=1e-3)


def test_a_part_without_beats_has_one_every_half_second(monkeypatch):
    monkeypatch.setattr(film.beats, "track", lambda wave, rate: Beats(0.0, np.zeros(0)))
    found = list(film.find_beats([np.zeros(10 * SAMPLE_RATE, np.float32)]))
    np.testing.assert_allclose([beat.time_s for beat in found], np.arange(0, 10.1, 0.5))


def test_frames_move_to_the_target_of_each_beat_from_the_one_before():
    times, values = [0.0, 1.0, 1.5, 3.0], [2.0, 10.0, -4.0, 7.0]
    targets = [
        Target(t, np.array([v], np.float32), np.array([-v], np.float32)) for t, v in zip(times, values, strict=True)
    ]
    frames = list(film.interpolate(targets))
    latent = np.array([frame[0][0] for frame in frames])
    np.testing.assert_allclose([frame[1][0] for frame in frames], -latent)
    assert len(frames) == 3 * film.FRAME_RATE
    np.testing.assert_allclose(latent[:25], 2)
    assert latent[30] == pytest.approx(10 - 8 / 8)  # half of the time: seven eighths of the distance
    assert np.all(np.diff(latent[24:36]) > 0)
    assert latent[36] == pytest.approx(10)
    assert latent[-1] == pytest.approx(-4, abs=1e-3)


@pytest.fixture(scope="module")
def painter():
    data = MuseumConfig(eras=ERAS, representation=Representation("power"))
    encoder = EncoderInference(EncoderConfig(data=data, widths=(2, 2), embedding=3))
    networks = GanInference(GanConfig(data=data, model=ModelConfig(widths=(4, 4), latents=3, features=6)), 3)
    return Painter(
        networks,
        jax.jit(networks.init_generator)(jax.random.key(1)),
        OpenEncoder(encoder, jax.jit(encoder.init)(jax.random.key(2))),
    )


def test_latent_vectors_are_normal_and_resemble_their_predecessors(painter):
    clip = np.random.default_rng(0).standard_normal(CLIP_SAMPLES).astype(np.float32)
    beats = [Beat(float(i), clip) for i in range(400)]
    latents = np.stack([target.latent for target in film.make_targets(painter, beats, seed=3)])
    assert latents.std() == pytest.approx(1, abs=0.15)
    assert np.corrcoef(latents[1:].ravel(), latents[:-1].ravel())[0, 1] == pytest.approx(0.8, abs=0.07)


def test_a_film_is_reproducible_and_reports_its_progress(painter):
    clips = np.random.default_rng(0).standard_normal((3, CLIP_SAMPLES)).astype(np.float32)
    beats = [Beat(time_s, clip) for time_s, clip in zip((0.0, 4.0, 12.0), clips, strict=True)]
    report: list[str] = []
    first, second = (np.stack(list(film.paint_frames(painter, beats, 1, report.append))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (12 * film.FRAME_RATE, 64, 64, 3)
    assert report == ["10 s of the film done"] * 2
    assert np.all(first[:24] == first[0])
    assert np.any(first[-1] != first[0])


FAKE_FFMPEG = """#!/bin/sh
for last; do :; done
cat > "$last"
"""


def test_frames_are_handed_to_ffmpeg_and_its_errors_are_one_line(tmp_path, monkeypatch):
    fake = tmp_path / "ffmpeg"
    fake.write_text(FAKE_FFMPEG)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    frames = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    assert film.write_video(tmp_path / "a.mp4", frames, 64, tmp_path / "song.wav") == 5
    assert (tmp_path / "a.mp4").read_bytes() == frames.tobytes()
    fake.write_text("#!/bin/sh\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    with pytest.raises(UserError, match=r"ffmpeg could not write .*b.mp4: Unknown encoder libx264"):
        film.write_video(tmp_path / "b.mp4", frames, 64, tmp_path / "song.wav")
    assert not (tmp_path / "b.mp4").exists()
