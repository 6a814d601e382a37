"""Each bad input gets one clear line and a non-zero exit, before anything is compiled, and no traceback."""

import gzip
import json
import os
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from commands.run import SMALL, command, refusal, run_words
from powers import WITHOUT_POWERS


def idx(shape, body, magic=None):
    return (magic or bytes([0, 0, 8, len(shape)])) + struct.pack(f">{len(shape)}I", *shape) + body


def write_set(folder, images=None, labels=None):
    folder.mkdir()
    images = images if images is not None else idx((20, 28, 28), bytes(20 * 784))
    labels = labels if labels is not None else idx((20,), bytes(range(10)) * 2)
    (folder / "train-images-idx3-ubyte").write_bytes(images)
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    return folder


def sets(tmp):
    """Folders of bad data, and what is said of them."""
    whole = idx((20, 28, 28), bytes(20 * 784))
    yield write_set(tmp / "truncated", images=whole[:-9]), "is truncated"
    yield write_set(tmp / "magic", images=idx((20, 28, 28), bytes(20 * 784), b"\x00\x00\x0d\x03")), "not an idx file"
    yield write_set(tmp / "label", labels=idx((20,), bytes([11] * 20))), "label 11 is out of range"
    yield write_set(tmp / "size", images=idx((20, 32, 32), bytes(20 * 1024))), "expected 28 x 28"
    yield write_set(tmp / "count", labels=idx((5,), bytes(5))), "do not belong together"
    yield write_set(tmp / "huge", images=idx((2**31, 28, 28), b"")), "damaged or hostile"
    empty = tmp / "empty"
    empty.mkdir()
    yield empty, "is empty"
    yield tmp / "missing", "does not exist"
    broken = write_set(tmp / "gz")
    path = broken / "train-images-idx3-ubyte"
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes())[:50])
    path.rename(path.with_name("unused"))
    path.with_suffix(".gz").rename(broken / "train-images-idx3-ubyte.gz")
    yield broken, "cannot be read"
    foreign = tmp / "foreign"
    (foreign / "cats").mkdir(parents=True)
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(foreign / "cats" / "a.png")
    yield foreign, "is not named by a label"
    nan = tmp / "nan"
    (nan / "3").mkdir(parents=True)
    Image.fromarray(np.full((28, 28), np.nan, np.float32)).save(nan / "3" / "a.tiff")
    (nan / "3" / "a.tiff").rename(nan / "3" / "a.png")
    yield nan, "not finite"


def said(done):
    """The one line of a refusal, the last there is, before anything was trained."""
    line = refusal(done)
    assert done.stderr.splitlines()[-1] == line
    assert "step 1/" not in done.stderr, "nothing was trained"
    return line


def check(cache, cases, launcher=()):
    """Run the cases two at a time, each (command line, what is said), as arguments of `launcher` if there is one."""
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda case: run_words(cache, (*launcher, *command(*case[0]))), cases))
    for (arguments, message), result in zip(cases, done, strict=True):
        assert message in said(result), arguments


def test_bad_data(cache, tmp_path):
    check(
        cache,
        [
            (("train", *SMALL, f"--config.data.source={folder}", f"--workdir={tmp_path}/w{i}"), message)
            for i, (folder, message) in enumerate(sets(tmp_path))
        ],
    )


def test_bad_configs(cache, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    train = ("train", *SMALL, f"--workdir={tmp_path}/w")
    check(
        cache,
        [
            (("train",), "--config is missing"),
            (("train", "--config=unett"), "choose one of signal, unet, unet_chords, unet_paper"),
            (("train", "--config=no/such.py"), "no such file"),
            (("train", "--config=unet:huge"), "unet:huge is unknown"),
            ((*train, "--config.stepz=3"), "config.stepz does not exist: choose from"),
            ((*train, "--config.model.width=3"), "config.model.width does not exist: choose from activation"),
            ((*train, "--config.steps=1.5"), "config.steps"),
            ((*train, "--config.optimizer.clip=lots"), "config.optimizer.clip"),
            ((*train, "--config.optimizer.kind=sgd"), "optimizer.kind='sgd' is unknown: choose adam or schedule_free"),
            ((*train, "--config.steps=-5"), "train.steps=-5 must be at least 1"),
            ((*train, "--config.model.head=round"), "choose paper or rows"),
            ((*train, "--config.conditioning.partials=all"), "choose one of triad"),
            ((*train, "--config.conditioning.size=60"), "pass the last row"),
            ((*train, "--config.data.held_out=5000"), "leaves nothing"),
            (("train", *SMALL, f"--workdir={occupied}"), "cannot be written"),
            ((*train, "--nonsense=1"), "nonsense"),
        ],
    )


def test_bad_outputs_and_inputs_of_synth(cache, bundle, tmp_path):
    synth = ("synth", "chord", f"--bundle={bundle}")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "digit_4.wav").write_text("precious")
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    Image.fromarray(np.zeros((32, 28), np.uint8)).save(tmp_path / "tall.png")
    (tmp_path / "junk.png").write_bytes(b"junk" * 50)
    os.mkfifo(tmp_path / "pipe.png")
    check(
        cache,
        [
            (("synth",), "the following arguments are required: SUBCOMMAND"),
            (("synth", "chord", "--digit=4"), "the following arguments are required: --bundle"),
            (synth, "one of the arguments --digit --picture is required"),
            ((*synth, "--digit=12", f"--out={tmp_path}/o"), "not a digit"),
            ((*synth, "--digit=4", f"--out={taken}"), "exists already"),
            ((*synth, "--digit=4", f"--out={occupied}"), "cannot be made"),
            ((*synth, "--digit=4", "--quality=minor", f"--out={tmp_path}/o"), "this bundle plays major"),
            ((*synth, "--digit=4", "--duration=-1", f"--out={tmp_path}/o"), "duration_s=-1.0"),
            ((*synth, "--digit=4", "--sample_rate=5", f"--out={tmp_path}/o"), "sample_rate=5"),
            ((*synth, f"--picture={tmp_path}/tall.png", f"--out={tmp_path}/o"), "expected 28 x 28"),
            ((*synth, f"--picture={tmp_path}/junk.png", f"--out={tmp_path}/o"), "not a readable picture"),
            ((*synth, f"--picture={tmp_path}/pipe.png", f"--out={tmp_path}/o"), "not a regular file"),
            ((*synth, f"--picture={tmp_path}/none.png", f"--out={tmp_path}/o"), "No such file"),
        ],
    )
    assert (taken / "digit_4.wav").read_text() == "precious"


def spoilt_bundles(bundle, tmp):
    """Copies of a bundle, each wrong in one way, with the checksum made right so that it is not what refuses."""
    import hashlib

    def copy(name, change):
        folder = shutil.copytree(bundle, tmp / name)
        file = folder / "unet.safetensors"
        tensors, card = load_file(file), json.loads((folder / "card.json").read_text())
        change(tensors, card)
        save_file(tensors, file)
        card["parts"]["unet"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (folder / "card.json").write_text(json.dumps(card))
        return folder

    first = "head/bias"
    yield copy("missing", lambda t, c: t.pop(first)), "lacks the tensor head/bias"
    yield copy("foreign", lambda t, c: t.update(extra=np.zeros(3))), "foreign tensor extra"
    yield copy("shape", lambda t, c: t.update({first: np.zeros((2,), np.float32)})), "expected float32[1]"
    yield copy("type", lambda t, c: t.update({first: np.zeros((1,), np.float64)})), "expected float32[1]"
    yield copy("nan", lambda t, c: t.update({first: np.full((1,), np.nan, np.float32)})), "not finite"
    yield copy("format", lambda t, c: c.update(format="other/9")), "is of format"
    yield copy("task", lambda t, c: c.update(task="melody/gan")), "expected 'chord/unet'"
    yield copy("key", lambda t, c: c["parts"]["unet"]["card"].update(surprise=1)), "config.surprise does not exist"
    yield copy("path", lambda t, c: c["parts"].update({"../x": c["parts"]["unet"]})), "plain words"
    flipped = shutil.copytree(bundle, tmp / "flipped")
    content = bytearray((flipped / "unet.safetensors").read_bytes())
    content[-5] ^= 4
    (flipped / "unet.safetensors").write_bytes(content)
    yield flipped, "checksums differ"
    pickled = shutil.copytree(bundle, tmp / "pickled")
    (pickled / "card.json").write_bytes(b"\x80\x04\x95not json")
    yield pickled, "not"
    (tmp / "bare").mkdir()
    yield tmp / "bare", "holds no card.json"


def test_bad_bundles(cache, bundle, tmp_path):
    check(
        cache,
        [
            (("synth", "chord", f"--bundle={folder}", "--digit=1", f"--out={tmp_path}/o{i}"), message)
            for i, (folder, message) in enumerate(spoilt_bundles(bundle, tmp_path))
        ],
    )


def test_bad_workdirs(cache, trained, bundle, tmp_path):
    check(
        cache,
        [
            (("evaluate",), "--workdir is missing"),
            (("evaluate", f"--workdir={tmp_path}/none"), "No such file"),
            (("evaluate", f"--workdir={trained}", f"--data={tmp_path}/none"), "does not exist"),
            (("export", f"--workdir={trained}", f"--out={bundle}"), "exists already"),
            (("export", f"--workdir={tmp_path}/none", f"--out={tmp_path}/b"), "No such file"),
            (
                ("train", *SMALL, "--config.steps=20", "--config.model.head_channels=3", f"--workdir={trained}"),
                "is of another architecture",
            ),
        ],
    )


def test_permissions(cache, bundle, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    secret = write_set(tmp_path / "secret")
    (secret / "train-images-idx3-ubyte").chmod(0)
    check(
        cache,
        [
            (("train", *SMALL, f"--workdir={locked}/run"), "cannot be written"),
            (("train", *SMALL, f"--config.data.source={secret}", f"--workdir={tmp_path}/w"), "not readable"),
            (("synth", "chord", f"--bundle={bundle}", "--digit=1", f"--out={locked}"), "cannot be written"),
        ],
        launcher=WITHOUT_POWERS,
    )
