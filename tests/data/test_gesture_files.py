"""DVS128 Gesture in both layouts, written here in small; every broken set is one sentence."""

import hashlib
import re

import numpy as np
import pytest

from s2nir import S2NirError
from s2nir.data import GESTURES, crop, dvs_gesture, frames
from s2nir.data import gesture_files as files

TRAIN_USERS, TEST_USERS = range(1, 8), (24, 25)


@pytest.fixture
def ibm(tmp_path, some_events, aedat_bytes):
    """Seven training users and two of the test, two lights each, three gestures a trial; and what was written."""
    written = {}
    for part, users in (("train", TRAIN_USERS), ("test", TEST_USERS)):
        names = [f"user{user:02d}_{light}" for user in users for light in ("fluorescent_led", "natural")]
        (tmp_path / f"trials_to_{part}.txt").write_text("".join(f"{name}.aedat\n" for name in names))
        for k, name in enumerate(names):
            events = some_events(200, seed=k + 100 * (part == "test"))
            written[name] = events
            (tmp_path / f"{name}.aedat").write_bytes(aedat_bytes(events, 16))
            rows = [f"{1 + (k + j) % 11},{j * 300_000 + 50_000},{j * 300_000 + 300_000}\n" for j in range(3)]
            (tmp_path / f"{name}_labels.csv").write_text("class,startTime_usec,endTime_usec\n" + "".join(rows))
    return tmp_path, written


@pytest.fixture
def tonic_folder(tmp_path, some_events):
    home = tmp_path / "DVSGesture"
    for part, users in (("Train", TRAIN_USERS), ("Test", TEST_USERS)):
        for user in users:
            folder = home / f"ibmGesture{part}" / f"user{user:02d}_led"
            folder.mkdir(parents=True)
            for label in (0, 5, 10):
                e = some_events(60, seed=user * 11 + label)
                columns = np.stack([e["x"], e["y"], e["p"], e["t"] // 1000 + 40], axis=1).astype(np.int64)
                np.save(folder / f"{label}.npy", columns)
    return tmp_path


def users(recordings):
    return {cut.user for cut in recordings.source.cuts}


def test_the_classes_are_tonics_in_its_order():
    theirs = pytest.importorskip("tonic.datasets").DVSGesture.classes
    short = [name.replace("counter_clockwise", "ccw").replace("clockwise", "cw") for name in GESTURES]
    assert [name.lower().replace(" ", "_") for name in theirs] == short


def test_ibms_layout_end_to_end(ibm):
    root, written = ibm
    train, validation, test = (dvs_gesture(root, split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (18, 24, 12)
    assert users(test) == set(TEST_USERS)
    assert users(train) | users(validation) == set(TRAIN_USERS)
    assert not users(train) & users(validation)
    assert len(users(validation)) == 4
    assert train.classes == GESTURES
    assert repr(train) == "<Recordings: DVS128 Gesture train, 18 recordings, 11 classes, 128x128 pixels>"
    assert test.labels[:6].tolist() == [0, 1, 2, 1, 2, 3]
    for part in (train, validation, test):
        for (events, label), cut in zip(part, part.source.cuts, strict=True):
            expected = crop(written[cut.path.stem], cut.start, cut.stop)
            assert np.array_equal(events, expected)
            assert label == cut.label
    x, labels = frames(test, tick_us=10_000, steps=25, size=32)
    assert x.shape == (12, 25, 2, 32, 32)
    assert labels.tolist() == test.labels.tolist()
    assert (x.sum(axis=(1, 2, 3, 4)) > 20).all()


def test_another_seed_holds_other_users_back(ibm):
    held = {tuple(sorted(users(dvs_gesture(ibm[0], "validation", seed=seed)))) for seed in range(8)}
    assert len(held) > 3
    assert users(dvs_gesture(ibm[0], "validation")) == users(dvs_gesture(ibm[0], "validation", seed=0))


def test_tonics_layout(tonic_folder, some_events):
    for root in (tonic_folder, tonic_folder / "DVSGesture"):
        test = dvs_gesture(root, "test")
        assert test.labels.tolist() == [0, 5, 10] * 2
        assert users(test) == set(TEST_USERS)
    assert len(dvs_gesture(tonic_folder, "train")) == 9
    assert len(dvs_gesture(tonic_folder, "validation")) == 12
    events, label = test[1]
    written = some_events(60, seed=24 * 11 + 5)
    assert label == 5
    assert events["t"][0] == 0
    assert np.array_equal(events["t"], (written["t"] // 1000 - written["t"][0] // 1000) * 1000)
    assert np.array_equal(events["x"], written["x"])
    assert np.array_equal(events["p"], written["p"])


def test_tonic_reads_the_same_from_its_folder(tonic_folder, monkeypatch):
    datasets = pytest.importorskip("tonic.datasets")
    monkeypatch.setattr(datasets.DVSGesture, "_check_exists", lambda self: True)
    theirs = datasets.DVSGesture(str(tonic_folder), train=False)
    ours = dvs_gesture(tonic_folder, "test")
    for path, label, k in zip(theirs.data, theirs.targets, range(len(theirs)), strict=True):
        place = [cut.path.as_posix() for cut in ours.source.cuts].index(path)
        events, mine = ours[place]
        assert mine == label
        for name in "xyp":
            assert np.array_equal(events[name], theirs[k][0][name])
        assert np.array_equal(events["t"], theirs[k][0]["t"] - theirs[k][0]["t"][0])


def test_a_damaged_archive_is_found(tonic_folder, monkeypatch):
    pytest.importorskip("tonic")
    archive = tonic_folder / "DVSGesture" / "ibmGestureTest.tar.gz"
    archive.write_bytes(b"not all of it")
    with pytest.raises(S2NirError, match=r"Test.tar.gz: its MD5 is \w+, not 56070e45dadaa85fff82e0fbfbc06de5"):
        dvs_gesture(tonic_folder, "test")
    known = {archive.name: hashlib.md5(archive.read_bytes()).hexdigest()}
    monkeypatch.setattr(files, "gesture_archives", lambda: known)
    assert len(dvs_gesture(tonic_folder, "test")) == 6


def test_an_absent_set_is_one_sentence(tmp_path):
    with pytest.raises(S2NirError) as caught:
        dvs_gesture(tmp_path, "train")
    looked_for = ("trials_to_train.txt", "ibmGestureTrain")
    for words in (str(tmp_path), *looked_for, files.PAGE, "CC BY 4.0", "synthetic_gestures"):
        assert words in str(caught.value)
    with pytest.raises(S2NirError, match="split: found 'all', allowed train, validation, test"):
        dvs_gesture(tmp_path, "all")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with 'nothing', needed the columns class,startTime_usec,endTime_usec"),
        ("class,start\n1,2\n", "begins with 'class,start', needed the columns"),
        ("class,startTime_usec,endTime_usec\n1,2\n", "row 2: found '1,2', needed three whole numbers"),
        ("class,startTime_usec,endTime_usec\n1,2,x\n", "row 2: found '1,2,x', needed three whole numbers"),
        ("class,startTime_usec,endTime_usec\n\n12,2,3\n", "row 2: found class 12, allowed 1..11"),
        ("class,startTime_usec,endTime_usec\n1,1,2\n0,2,3\n", "row 3: found class 0, allowed 1..11"),
        ("class,startTime_usec,endTime_usec\n1,7,7\n", "row 2: the gesture is from 7 to 7 us, allowed 0 <="),
    ],
)
def test_broken_labels_are_refused(ibm, text, words):
    (ibm[0] / "user03_natural_labels.csv").write_text(text)
    with pytest.raises(S2NirError, match="user03_natural_labels.csv.*" + re.escape(words)):
        dvs_gesture(ibm[0], "train")


def test_a_user_on_both_sides_and_a_trial_listed_twice_are_refused(ibm, tonic_folder):
    root = ibm[0]
    trials = root / "trials_to_test.txt"
    listed = trials.read_text()
    for more, words in (
        ("user03_natural.aedat\n", "user 3 is in training and in test"),
        ("user24_natural.aedat\n", "trials_to_test.txt: lists user24_natural.aedat twice"),
        ("./user24_natural.aedat\n", "trials_to_test.txt: lists user24_natural.aedat twice"),
    ):
        trials.write_text(listed + more)
        with pytest.raises(S2NirError, match=re.escape(words)):
            dvs_gesture(root, "test")
    trials.write_text(listed + "user03_natural.aedat\n")
    with pytest.raises(S2NirError, match="user 3 is in training and in test; a test needs users of its own"):
        dvs_gesture(root, "train")
    home = tonic_folder / "DVSGesture"
    (home / "ibmGestureTest" / "user07_natural").mkdir()
    np.save(home / "ibmGestureTest" / "user07_natural" / "0.npy", np.zeros((1, 4)))
    with pytest.raises(S2NirError, match="user 7 is in training and in test"):
        dvs_gesture(home, "train")


def test_missing_and_misnamed_files_are_refused(ibm):
    root = ibm[0]
    (root / "user24_natural_labels.csv").unlink()
    with pytest.raises(S2NirError, match=r"its labels are not there: user24_natural_labels\.csv"):
        dvs_gesture(root, "test")
    (root / "user24_fluorescent_led.aedat").unlink()
    with pytest.raises(S2NirError, match=r"lists user24_fluorescent_led.aedat, and .* is not there"):
        dvs_gesture(root, "test")
    (root / "trials_to_test.txt").write_text("someone.aedat")
    with pytest.raises(S2NirError, match="found the trial 'someone', needed names such as user01_fluorescent"):
        dvs_gesture(root, "test")
    (root / "trials_to_test.txt").write_text("")
    with pytest.raises(S2NirError, match="lists no gestures"):
        dvs_gesture(root, "test")
    (root / "trials_to_train.txt").write_text("".join(f"user0{k}_natural.aedat\n" for k in (1, 2, 3, 4)))
    with pytest.raises(S2NirError, match="found 4 training users; 4 validate and at least one has to train"):
        dvs_gesture(root, "train")


def test_a_gesture_without_events_and_a_wrong_name_are_refused(ibm, tonic_folder):
    root = ibm[0]
    head = "class,startTime_usec,endTime_usec\n"
    (root / "user24_fluorescent_led_labels.csv").write_text(head + "1,5000000,6000000\n")
    with pytest.raises(S2NirError, match="has no events from 5000000 to 6000000 us"):
        _ = dvs_gesture(root, "test")[0]
    home = tonic_folder / "DVSGesture"
    for name in ("11.npy", "clap.npy"):
        path = home / "ibmGestureTest" / "user24_led" / name
        np.save(path, np.zeros((1, 4)))
        with pytest.raises(S2NirError, match=f"{name}: the file's name is its label; allowed 0..10"):
            dvs_gesture(home, "test")
        path.unlink()
    for path in home.glob("ibmGestureTest/*/*.npy"):
        path.unlink()
    with pytest.raises(S2NirError, match=r"ibmGestureTest: found no \.npy files"):
        dvs_gesture(home, "test")
