"""Styles of the genres: tempo, drum patterns, harmony, scale, instruments and mix, as tables indexed by genre.

Rhythms are strings of 16 characters, one for each sixteenth of a bar:

- `X` plays loud and `x` soft, in every bar.
- `o` plays in every bar of half of the tracks.
- `?` plays softly in some bars.
- `.` does not play.

Chords and scales are written in C major or A minor. A track transposes them to its key. Bars of a progression are
separated by spaces, and a bar may have two chords separated by `/`.
"""

from dataclasses import dataclass

from specjax.papers.melody.music.instruments import Kit

DEGREES = "R3567a8"  # root, third, fifth, sixth, seventh, approach to the next root, octave


@dataclass(frozen=True)
class Chords:
    """A way to play chords.

    hold: largest length of a note in steps.
    rhythms: one for all notes of a chord, or four of an arpeggio, from the root to the highest note.
    lowest: lower end of the octave in which chords are placed, as a MIDI note number (60 is middle C).
    stacked: notes lie above the root. Otherwise they lie within the octave, so that chords move little.
    """

    instrument: str
    hold: int
    rhythms: tuple[str, ...]
    lowest: int = 55
    stacked: bool = False


@dataclass(frozen=True)
class Bass:
    """A bass line.

    hold: largest length of a note in steps.
    line: for each step of a bar, one of `DEGREES`, or `.` for no new note.
    """

    instrument: str
    hold: int
    line: str


@dataclass(frozen=True)
class Melody:
    """A melody: a random walk on the scale.

    hold: largest length of a note in steps.
    density: for each step of a bar, the probability of a note in tenths, or `.` for none.
    lowest: lower end of its range, as a MIDI note number.
    leap: standard deviation of the distance between notes, in steps on the scale.
    harmony: distance of a second voice on the scale, in steps; 0 for none.
    """

    instrument: str
    hold: int
    density: str
    lowest: int = 64
    leap: float = 1.5
    harmony: int = 0


@dataclass(frozen=True)
class Style:
    """A genre.

    tempo_bpm: lowest and highest tempo.
    beat: positions of the four sixteenths within a beat; equal quarters unless the genre swings.
    kick, snare, hat: rhythms of the drums; empty without drums.
    fill: probability of each of four snare hits at the end of every fourth bar.
    chords, bass, melody: two alternatives each.
    progressions: three alternatives.
    scale: notes of the melody.
    mix_db: levels of kick, snare, hat, bass, chords and melody.
    kit: sounds of the drums.
    top_hz: frequency above which the recording falls off.
    room_s, room_db: reverberation time, and level of the reverberation.
    push: gain into the soft limiter of the recording.
    """

    tempo_bpm: tuple[int, int]
    chords: tuple[Chords, Chords]
    bass: tuple[Bass, Bass]
    melody: tuple[Melody, Melody]
    progressions: tuple[str, str, str]
    scale: str
    mix_db: tuple[int, int, int, int, int, int]
    beat: tuple[float, float, float, float] = (0.0, 0.25, 0.5, 0.75)
    kick: str = ""
    snare: str = ""
    hat: str = ""
    fill: float = 0.0
    kit: Kit = Kit()
    top_hz: float = 8000.0
    room_s: float = 0.5
    room_db: float = -18.0
    push: float = 0.5


_FOUR_CHORDS = ("C G Am F", "Am F C G", "F C G Am")

STYLES = {
    "blues": Style(
        tempo_bpm=(76, 116),
        beat=(0.0, 1 / 3, 2 / 3, 5 / 6),
        kick="X.....o.X.....?.",
        snare="....X..?....X..?",
        hat="X.x.X.x.X.x.X.x.",
        fill=0.3,
        chords=(Chords("clean_guitar", 2, ("X.x.X.x.X.x.X.x.",)), Chords("piano", 3, ("..X...X...X...X.",))),
        bass=(Bass("bass_guitar", 4, "R...3...5...6..."), Bass("upright_bass", 2, "R.R.5.5.6.6.5.5.")),
        melody=(
            Melody("blues_guitar", 6, "6.5.4.6.5.4.3.3.", 60),
            Melody("organ", 8, "7.3.5.3.6.3.2.2.", 62),
        ),
        progressions=(
            "C7 C7 C7 C7 F7 F7 C7 C7 G7 F7 C7 G7",
            "C7 F7 C7 C7 F7 F7 C7 C7 G7 F7 C7 C7",
            "Cm7 Cm7 Cm7 Cm7 Fm7 Fm7 Cm7 Cm7 Ab7 G7 Cm7 G7",
        ),
        scale="C Eb F Gb G Bb",
        mix_db=(-8, -8, -15, -7, -7, -2),
        kit=Kit(kick_s=0.09, snare_hz=1800.0, hat_hz=6000.0),
        top_hz=4000.0,
        room_s=0.6,
        room_db=-14.0,
    ),
    "classical": Style(
        tempo_bpm=(66, 112),
        chords=(
            Chords("strings", 16, ("X.......X.......",)),
            Chords("piano", 4, ("X.......X.......", "....X.......X...", "..X...X...X...X.", "................")),
        ),
        bass=(Bass("cello", 8, "R.......5......."), Bass("cello", 16, "R...............")),
        melody=(
            Melody("strings", 16, "9.4.7.4.8.4.7.4.", 69, harmony=-2),
            Melody("flute", 16, "9373837393737363", 72),
        ),
        progressions=(
            "C G Am Em F C F G",
            "C/F G7/C Am/Dm G7/C F/C Dm/G7 C/Am Dm/G7",
            "Am Dm E7 Am F/Dm Am/E7 Am/Dm E7",
        ),
        scale="C D E F G A B",
        mix_db=(0, 0, 0, -7, -6, -3),
        top_hz=6500.0,
        room_s=1.8,
        room_db=-6.0,
        push=0.15,
    ),
    "country": Style(
        tempo_bpm=(104, 140),
        kick="X.......X.....?.",
        snare="x.xxX.xxx.xxX.xx",
        hat="................",
        fill=0.3,
        chords=(
            Chords("acoustic_guitar", 3, ("....X.?.....X.x.",)),
            Chords(
                "acoustic_guitar", 6, ("X.......X.......", "..X.....o.X.....", "....X.......X.X.", "......X.......X.")
            ),
        ),
        bass=(Bass("bass_guitar", 8, "R.......5......."), Bass("upright_bass", 8, "R.......5.....a.")),
        melody=(
            Melody("steel_guitar", 8, "8.4.6.4.7.4.5.2.", 67, harmony=-2),
            Melody("fiddle", 6, "8.5.7.5.8.5.6.3.", 69),
        ),
        progressions=("C C F C C C G C", "C F G C", "C C G G F F C G"),
        scale="C D E G A",
        mix_db=(-10, -12, -30, -4, -3, -3),
        kit=Kit(kick_s=0.07, snare_hz=4500.0, snare_s=0.04),
        top_hz=9000.0,
        room_s=0.4,
    ),
    "disco": Style(
        tempo_bpm=(112, 130),
        kick="X...X...X...X...",
        snare="....X.......X..?",
        hat="x.X.x.X.x.X.x.Xo",
        fill=0.4,
        chords=(
            Chords("strings", 16, ("X...............",)),
            Chords("clean_guitar", 1, ("..XoX.X...XoX.X.",)),
        ),
        bass=(Bass("synth_bass", 2, "R.8.R.8.R.8.R.8."), Bass("bass_guitar", 2, "R..8R.8.R..8R.58")),
        melody=(
            Melody("strings", 8, "6..4..5.5..3..4.", 74, harmony=7),
            Melody("trumpet", 3, "5..5..4...5.4...", 65, harmony=2),
        ),
        progressions=("Am F G Em", "Am7 D7 Am7 D7", "Fmaj7 G Em7 Am7"),
        scale="A C D E G",
        mix_db=(-2, -6, -6, -2, -6, -6),
        kit=Kit(kick_hz=60.0, kick_s=0.1, snare_hz=3000.0, snare_s=0.07, hat_hz=8500.0, hat_s=0.09),
        top_hz=10000.0,
        push=0.8,
    ),
    "hiphop": Style(
        tempo_bpm=(132, 156),
        beat=(0.0, 0.29, 0.5, 0.79),
        kick="X.....o...X..o..",
        snare="........X.......",
        hat="X.X.XoX.X.X.X?XX",
        chords=(
            Chords("electric_piano", 8, ("X...........x...",)),
            Chords("bell", 4, ("X.......x.......", "..X.......x.....", "....X.X.........", "......o.....o...")),
        ),
        bass=(Bass("sub_bass", 10, "R.....R...R....."), Bass("sub_bass", 16, "R.........R.....")),
        melody=(
            Melody("bell", 4, "5..3..4.3.4..3..", 69),
            Melody("flute", 6, "5..3..4...4..3..", 69),
        ),
        progressions=("Am Am F F", "Am F Dm E", "Am Am Em F"),
        scale="A C D E G",
        mix_db=(-3, -3, -9, -3, -8, -8),
        kit=Kit(kick_hz=48.0, kick_s=0.16, snare_hz=2200.0, snare_s=0.1, hat_hz=8500.0, hat_s=0.018),
        top_hz=9000.0,
        room_s=0.3,
        push=0.8,
    ),
    "jazz": Style(
        tempo_bpm=(132, 196),
        beat=(0.0, 0.32, 0.64, 0.82),
        kick="x...?...x...?...",
        snare="......?....?..?.",
        hat="X...X.x.X...X.x.",
        chords=(Chords("piano", 3, ("X.....?.X...x...",)), Chords("clean_guitar", 4, ("X...x...X...x...",))),
        bass=(Bass("upright_bass", 4, "R...3...5...a..."), Bass("upright_bass", 4, "R...3...R...a...")),
        melody=(
            Melody("saxophone", 6, "7.6.5.6.7.5.4.5.", 60, leap=2.2),
            Melody("trumpet", 6, "6.5.6.5.5.5.3.3.", 64, leap=2.2),
        ),
        progressions=("Dm7 G7 Cmaj7 A7", "Cmaj7/A7 Dm7/G7 Em7/A7 Dm7/G7", "Bm7b5 E7 Am7 Am7 Dm7 G7 Cmaj7 Fmaj7"),
        scale="C D E F G A B",
        mix_db=(-17, -16, -15, -4, -8, -3),
        kit=Kit(kick_s=0.07, snare_hz=3500.0, snare_s=0.05, hat_hz=5500.0, hat_s=0.16),
        top_hz=4500.0,
        room_s=0.7,
        room_db=-13.0,
        push=0.25,
    ),
    "metal": Style(
        tempo_bpm=(150, 190),
        kick="XoXxXoXxXoXxXoXx",
        snare="....X.......X...",
        hat="X...X...X...X...",
        fill=0.7,
        chords=(
            Chords("metal_guitar", 1, ("XoXxX.xxXoXxX.xx",), 40, True),
            Chords("metal_guitar", 2, ("X.xxX.xxX.xxX.xx",), 40, True),
        ),
        bass=(Bass("pick_bass", 1, "R.RRR.RRR.RRR.RR"), Bass("pick_bass", 2, "R.R.R.R.R.R.R.R.")),
        melody=(
            Melody("lead_guitar", 2, "9595959595959595", 69, harmony=2),
            Melody("lead_guitar", 12, "7..3..3.5..3....", 64, harmony=-2),
        ),
        progressions=("E5 E5/F5 E5 G5/F5", "E5/C5 D5 E5/C5 B5", "E5 E5 C5 D5/B5"),
        scale="E F G A B C D",
        mix_db=(-4, -3, -8, -8, 0, -7),
        kit=Kit(kick_hz=62.0, kick_s=0.05, snare_hz=3000.0, snare_s=0.09, hat_hz=4500.0, hat_s=0.12),
        top_hz=9000.0,
        push=1.2,
    ),
    "pop": Style(
        tempo_bpm=(96, 126),
        kick="X..o..X.X..o..?.",
        snare="....X.......X...",
        hat="x.x.x.x.x.x.x.xo",
        fill=0.2,
        chords=(Chords("synth_pad", 16, ("X...............",)), Chords("piano", 4, ("X...X...X...X...",))),
        bass=(Bass("synth_bass", 2, "R.R.R.R.R.R.R.R."), Bass("bass_guitar", 6, "R.....R.R.....5.")),
        melody=(
            Melody("synth_lead", 6, "8.6.6.6.7.6.4.3.", 67, harmony=-2),
            Melody("synth_lead", 8, "7..6..5.6..5..2.", 69),
        ),
        progressions=_FOUR_CHORDS,
        scale="C D E G A",
        mix_db=(-3, -4, -15, -5, -7, 0),
        kit=Kit(kick_hz=58.0, kick_s=0.1, snare_hz=4000.0, snare_s=0.09, hat_hz=9000.0),
        top_hz=9500.0,
        room_s=0.8,
        room_db=-14.0,
        push=0.6,
    ),
    "reggae": Style(
        tempo_bpm=(66, 88),
        kick="o...?...X...?...",
        snare="........x....?..",
        hat="x.X.x.Xox.X.x.X.",
        fill=0.5,
        chords=(Chords("clean_guitar", 1, ("..X...X...X...X.",)), Chords("organ", 1, ("..XoooX.o.XoooX.",))),
        bass=(Bass("bass_guitar", 4, "R..R5...3.R....."), Bass("sub_bass", 4, "..R.R.5.R.....3.")),
        melody=(
            Melody("organ", 4, "4...4.3.5...3.2.", 67),
            Melody("trumpet", 6, "5...5.4.4.4.....", 64, harmony=2),
        ),
        progressions=("Am Am Dm Dm", "C Dm C Dm", "Am G Am G"),
        scale="A C D E G",
        mix_db=(-5, -9, -11, 1, -4, -9),
        kit=Kit(kick_hz=50.0, snare_hz=1600.0, snare_s=0.06, hat_hz=8000.0, hat_s=0.025),
        top_hz=6500.0,
        room_s=1.2,
        room_db=-11.0,
        push=0.4,
    ),
    "rock": Style(
        tempo_bpm=(108, 148),
        kick="X.....oXX.o...?.",
        snare="....X.......X...",
        hat="X.x.X.x.X.x.X.x.",
        fill=0.5,
        chords=(
            Chords("crunch_guitar", 2, ("X.X.X.X.X.X.X.X.",), 45, True),
            Chords("crunch_guitar", 5, ("X.....X.X..ox...",), 45, True),
        ),
        bass=(Bass("pick_bass", 2, "R.R.R.R.R.R.R.R."), Bass("bass_guitar", 4, "R.....R.R.R...5.")),
        melody=(
            Melody("lead_guitar", 8, "7.4.5.4.6.4.4.3.", 62),
            Melody("synth_lead", 8, "6.5.5.5.6.4.3.2.", 60),
        ),
        progressions=("A5 D5 E5 D5", "C5 Bb5 F5 C5", "A5 F5 C5 G5"),
        scale="A C D E G",
        mix_db=(-3, -1, -9, -4, -1, -5),
        kit=Kit(kick_hz=58.0, kick_s=0.09, snare_hz=1600.0, snare_s=0.11, hat_hz=5500.0, hat_s=0.08),
        top_hz=6500.0,
        room_s=0.5,
        room_db=-14.0,
        push=0.7,
    ),
}
GENRES = tuple(STYLES)
