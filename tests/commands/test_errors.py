"""Bad input gives one clear error line and exit status 2, before anything is compiled, and no traceback."""

import gzip
import json
import os
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from commands.run import ROOT, SMALL, command, error_line, run, run_command_line, run_in_process
from permissions import PERMISSIONS_LAUNCHER
from specjax.engine.bundle import seal

CONFIGS = ", ".join(sorted(path.stem for path in (ROOT / "configs").glob("*.py")))


def encode_idx(shape, body, magic=None):
    """Encode an array of bytes in the idx format of MNIST."""
    return (magic or bytes([0, 0, 8, len(shape)])) + struct.pack(f">{len(shape)}I", *shape) + body


def write_dataset(folder, images=None, labels=None):
    """Write an MNIST folder: by default 20 black images, with labels 0 to 9 twice."""
    folder.mkdir()
    images = images if images is not None else encode_idx((20, 28, 28), bytes(20 * 784))
    labels = labels if labels is not None else encode_idx((20,), bytes(range(10)) * 2)
    (folder / "train-images-idx3-ubyte").write_bytes(images)
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    return folder


def bad_datasets(tmp):
    """Write folders of bad data; yields each folder and the expected part of the error line."""
    images = encode_idx((20, 28, 28), bytes(20 * 784))
    yield write_dataset(tmp / "truncated", images=images[:-9]), "is truncated"
    wrong_magic = encode_idx((20, 28, 28), bytes(20 * 784), b"\x00\x00\x0d\x03")
    yield write_dataset(tmp / "magic", images=wrong_magic), "not an idx file"
    yield write_dataset(tmp / "label", labels=encode_idx((20,), bytes(range(20)))), "has 20 classes, 0, 1, 2, 3, 4 ..."
    yield write_dataset(tmp / "size", images=encode_idx((20, 32, 32), bytes(20 * 1024))), "expected 28 x 28"
    yield write_dataset(tmp / "count", labels=encode_idx((5,), bytes(5))), "do not belong together"
    yield write_dataset(tmp / "huge", images=encode_idx((2**31, 28, 28), b"")), "damaged or hostile"
    empty = tmp / "empty"
    empty.mkdir()
    yield empty, "is empty"
    yield tmp / "missing", "does not exist"
    broken = write_dataset(tmp / "gz")
    path = broken / "train-images-idx3-ubyte"
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes())[:50])
    path.rename(path.with_name("unused"))
    path.with_suffix(".gz").rename(broken / "train-images-idx3-ubyte.gz")
    yield broken, "cannot be read"
    foreign = tmp / "foreign"
    (foreign / "7").mkdir(parents=True)
    Image.fromarray(np.full((28, 28), 255, np.uint8)).save(foreign / "7" / "a.png")
    yield foreign, "the pictures have a bright background"
    nan = tmp / "nan"
    (nan / "3").mkdir(parents=True)
    Image.fromarray(np.full((28, 28), np.nan, np.float32)).save(nan / "3" / "a.tiff")
    (nan / "3" / "a.tiff").rename(nan / "3" / "a.png")
    yield nan, "not finite"


def check_error(done, message, arguments):
    """Check that a command failed with an error line that contains `message`, before it trained."""
    assert message in error_line(done), arguments
    assert "step 1/" not in done.stderr, "nothing was trained"


def check_errors(cases):
    """Run commands in this process; each case is a command line, and the expected part of its error line."""
    for arguments, message in cases:
        check_error(run_in_process(*arguments), message, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--config=unett"), f"choose one of {CONFIGS}"),
        (("evaluate",), "--workdir is missing"),
        (("export", "--workdir=no/such", "--out=no/bundle"), "no/such has no checkpoints: train it first"),
        (("synth", "chord", "--bundle=mine"), "one of the arguments --digit --picture is required"),
        (("knobs", "lr=1"), "--workdir is missing"),
        (("bench", *SMALL, "--benchmarks=juggling"), "--benchmarks=juggling is unknown: choose from targets"),
        (("study",), "name a question: one of heads, losses"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_process_of_each_command_prints_one_error_line(cache, arguments, message):
    """All other tests of error lines call the commands in the process of the test."""
    check_error(run(cache, *arguments), message, arguments)


def test_bad_data(tmp_path):
    check_errors(
        (("train", *SMALL, f"--config.data.source={folder}", f"--workdir={tmp_path}/w{i}"), message)
        for i, (folder, message) in enumerate(bad_datasets(tmp_path))
    )


def test_bad_configs(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    train = ("train", *SMALL, f"--workdir={tmp_path}/w")
    check_errors(
        [
            (("train",), "--config is missing"),
            (
                ("train", "--config=unett"),
                f"choose one of {CONFIGS}",
            ),
            (("train", "--config=no/such.py"), "no such file"),
            (("train", "--config=unet:huge"), "unet:huge is unknown"),
            ((*train, "--config.stepz=3"), "config.stepz does not exist: did you mean config.steps? Or choose from"),
            ((*train, "--config.model.width=3"), "did you mean config.model.widths? Or choose from activation"),
            ((*train, "--config.steps=1.5"), "config.steps"),
            ((*train, "--config.optimizer.clip=lots"), "config.optimizer.clip"),
            ((*train, "--config.optimiser.learning_rate=nan"), "learning_rate.value=nan is not a finite number"),
            ((*train, "--config.weights.ms_ssim=inf"), "config.loss.ms_ssim.value=inf is not a finite number"),
            ((*train, f"--config.seed={10**30}"), "has more than 64 bits: choose a smaller integer"),
            ((*train, "--config.curriculum=0,1"), "config.curriculum[0]=0 is of type int, expected a tuple such as"),
            ((*train, "--config.optimizer.kind=sgd"), "optimizer.kind='sgd' is unknown: choose adam or schedule_free"),
            ((*train, "--config.steps=-5"), "train.steps=-5 must be at least 1"),
            ((*train, "--config.model.head=round"), "choose paper or rows"),
            ((*train, "--config.conditioning.partials=all"), "choose one of triad"),
            ((*train, "--config.conditioning.size=60"), "pass the last of conditioning.size=60 rows: lower it to 3"),
            ((*train, "--config.data.held_out=5000"), "leaves nothing"),
            (("train", *SMALL, f"--workdir={occupied}"), "cannot be written"),
            (("train", *SMALL, f"--workdir={tmp_path}/w*x"), "could not be restored, because of the * in its path"),
            ((*train, "--nonsense=1"), "nonsense"),
        ]
    )


def test_bad_outputs_and_inputs_of_synth(bundle, tmp_path):
    synth = ("synth", "chord", f"--bundle={bundle}")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "digit_4.wav").write_text("precious")
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    Image.fromarray(np.zeros((32, 28), np.uint8)).save(tmp_path / "tall.png")
    (tmp_path / "junk.png").write_bytes(b"junk" * 50)
    os.mkfifo(tmp_path / "pipe.png")
    check_errors(
        [
            (("synth",), "the following arguments are required: SUBCOMMAND"),
            (("synth", "chord", "--digit=4", "--bundle=mine", f"--out={tmp_path}/o"), "mine is neither a folder nor"),
            (synth, "one of the arguments --digit --picture is required"),
            ((*synth, "--digit=12", f"--out={tmp_path}/o"), "not a digit"),
            ((*synth, "--digit=4", f"--out={taken}"), "exists already"),
            ((*synth, "--digit=4", f"--out={occupied}"), "cannot be made"),
            ((*synth, "--digit=4", "--quality=minor", f"--out={tmp_path}/o"), "this bundle plays major"),
            ((*synth, "--digit=4", "--duration=-1", f"--out={tmp_path}/o"), "duration_s=-1.0"),
            ((*synth, "--digit=4", "--sample_rate=5", f"--out={tmp_path}/o"), "sample_rate=5"),
            ((*synth, "--digit=4", "--offset_hz=nan", f"--out={tmp_path}/o"), "--offset_hz=nan is not a finite number"),
            ((*synth, "--digit=4", f"--seed={10**30}", f"--out={tmp_path}/o"), "has more than 64 bits"),
            ((*synth, "--digit=4", "--octave=8", "--sample_rate=8000", f"--out={tmp_path}/o"), "3 of 3 notes of "),
            ((*synth, f"--picture={tmp_path}/tall.png", f"--out={tmp_path}/o"), "expected 28 x 28"),
            ((*synth, f"--picture={tmp_path}/junk.png", f"--out={tmp_path}/o"), "is not a readable image"),
            ((*synth, f"--picture={tmp_path}/pipe.png", f"--out={tmp_path}/o"), "not a regular file"),
            ((*synth, f"--picture={tmp_path}/none.png", f"--out={tmp_path}/o"), "No such file"),
        ]
    )
    assert (taken / "digit_4.wav").read_text() == "precious"


def bad_bundles(bundle, tmp):
    """Copy a bundle and spoil each copy in one way; yields each folder and the expected part of the error line.

    Checksums are corrected, except where they are what is tested, so that they do not hide the other errors.
    """
    import hashlib

    def copy(name, change):
        folder = shutil.copytree(bundle, tmp / name)
        file = folder / "unet.safetensors"
        tensors, card = load_file(file), json.loads((folder / "card.json").read_text())
        change(tensors, card)
        save_file(tensors, file)
        card["parts"]["unet"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (folder / "card.json").write_text(json.dumps(seal(card)))
        return folder

    def replace_card(name, content):
        folder = shutil.copytree(bundle, tmp / name)
        (folder / "card.json").write_bytes(content)
        return folder

    first = "head/bias"
    yield copy("missing", lambda t, c: t.pop(first)), "missing tensor head/bias"
    yield copy("foreign", lambda t, c: t.update(extra=np.zeros(3))), "unexpected tensor extra"
    yield copy("shape", lambda t, c: t.update({first: np.zeros((2,), np.float32)})), "expected float32[1]"
    yield copy("type", lambda t, c: t.update({first: np.zeros((1,), np.float64)})), "expected float32[1]"
    yield copy("nan", lambda t, c: t.update({first: np.full((1,), np.nan, np.float32)})), "not finite"
    yield copy("format", lambda t, c: c.update(format="other/9")), "is of format"
    sizes = {"conditioning": {"size": 10**7}, "model": {"depth": 10**6}}
    for group, change in sizes.items():
        yield copy(group, lambda t, c, g=group, n=change: c["parts"]["unet"]["card"][g].update(n)), f"{group}: "
    yield copy("task", lambda t, c: c.update(task="melody/gan")), "expected 'chord/unet'"
    yield copy("key", lambda t, c: c["parts"]["unet"]["card"].update(surprise=1)), "config.surprise does not exist"
    yield copy("path", lambda t, c: c["parts"].update({"../x": c["parts"]["unet"]})), "expected a plain word"
    flipped = shutil.copytree(bundle, tmp / "flipped")
    content = bytearray((flipped / "unet.safetensors").read_bytes())
    content[-5] ^= 4
    (flipped / "unet.safetensors").write_bytes(content)
    yield flipped, "checksums differ"
    card = (bundle / "card.json").read_bytes()
    yield replace_card("tuned", card.replace(b'"base_hz": 27.5', b'"base_hz": 27.4')), "checksums differ"
    yield replace_card("renamed", card.replace(b'"sha256": "', b'"sha257": "')), "unknown entry 'sha257'"
    yield replace_card("pickled", b"\x80\x04\x95not json"), "is not valid JSON"
    yield replace_card("list", b"[1]"), "holds a list, expected an object"
    yield replace_card("nested", b"[" * 10**5), "nests too deeply"
    yield replace_card("digits", b'{"format": 1' + b"0" * 400 + b"}"), "does not fit into 64 bits"
    yield replace_card("infinite", b'{"format": 1e999}'), "not a finite number"
    yield replace_card("large", card + b" " * 2**22), "expected at most"
    (tmp / "bare").mkdir()
    yield tmp / "bare", "holds no card.json"


def test_bad_bundles(bundle, tmp_path):
    check_errors(
        (("synth", "chord", f"--bundle={folder}", "--digit=1", f"--out={tmp_path}/o{i}"), message)
        for i, (folder, message) in enumerate(bad_bundles(bundle, tmp_path))
    )


def test_bad_workdirs(trained_run, bundle, tmp_path):
    other_model = ("--config.steps=20", "--config.model.head_channels=3")
    copy = shutil.copytree(trained_run, tmp_path / "copy")
    check_errors(
        [
            (("evaluate",), "--workdir is missing"),
            (("evaluate", f"--workdir={tmp_path}/none"), "none has no checkpoints: train it first"),
            (("evaluate", f"--workdir={trained_run}", f"--data={tmp_path}/none"), "does not exist"),
            (("export", f"--workdir={trained_run}", f"--out={bundle}"), "exists already"),
            (("export", f"--workdir={tmp_path}/none", f"--out={tmp_path}/b"), "none has no checkpoints"),
            (("train", *SMALL, *other_model, f"--workdir={copy}"), "model.head_channels was 16 and is 3"),
        ]
    )


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to initialize backend 'cuda'")])
def test_missing_devices_are_one_line(tmp_path, monkeypatch, error):
    def find_no_device():
        raise error

    monkeypatch.setattr(jax, "devices", find_no_device)
    done = run_in_process("train", *SMALL, f"--workdir={tmp_path}/w")
    check_error(done, "JAX finds no such device", ())
    assert str(error) in done.stderr


def test_missing_permissions(cache, bundle, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    secret = write_dataset(tmp_path / "secret")
    (secret / "train-images-idx3-ubyte").chmod(0)
    cases = [
        (("train", *SMALL, f"--workdir={locked}/run"), "cannot be written"),
        (("train", *SMALL, f"--config.data.source={secret}", f"--workdir={tmp_path}/w"), "not readable"),
        (("synth", "chord", f"--bundle={bundle}", "--digit=1", f"--out={locked}"), "cannot be written"),
    ]

    def run_case(case):
        return run_command_line(cache, (*PERMISSIONS_LAUNCHER, *command(*case[0])))

    with ThreadPoolExecutor(2) as pool:
        for (arguments, message), done in zip(cases, pool.map(run_case, cases), strict=True):
            check_error(done, message, arguments)
