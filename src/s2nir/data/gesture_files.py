"""DVS128 Gesture ([Amir2017], doi 10.1109/CVPR.2017.781), as IBM publishes it or as tonic unpacks it."""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from ..errors import InputError, needs
from .aedat import read_aedat
from .events import EventArray
from .poses import GESTURES
from .read import read_events
from .recordings import Recordings
from .tonic_library import gesture_archives

SENSOR = (128, 128)
SPLITS = ("train", "validation", "test")
VALIDATION_USERS = 4
PAGE = "https://research.ibm.com/interactive/dvsgesture/"
COLUMNS = ["class", "startTime_usec", "endTime_usec"]
TRIAL = re.compile(r"user(\d+)_\w+")
FOLDERS = {"train": "ibmGestureTrain", "test": "ibmGestureTest"}
LISTS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}


@dataclass(frozen=True, slots=True)
class Cut:
    """One gesture: a file, or from where to where in it (microseconds)."""

    path: Path
    user: int
    label: int
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class Cuts:
    """Reads gestures from their files; times count from the gesture's begin."""

    cuts: tuple[Cut, ...]

    def __call__(self, place: int, stop_us: int | None = None) -> EventArray:
        cut = self.cuts[place]
        if cut.stop is None:
            events = read_events(cut.path)
            begin = int(events["t"][0]) if events.size else 0
        else:
            events, begin = read_aedat(cut.path, cut.start, cut.stop), cut.start
        if not events.size:
            raise InputError(f"{cut.path}: has no events from {cut.start} to {cut.stop or 'its end'} us")
        events["t"] -= begin
        return events


def dvs_gesture(root: str | Path, split: str = "train", seed: int = 0) -> Recordings:
    """The DVS128 Gesture set from a folder; it is not part of s2nir and is not downloaded.

    root : with IBM's files (userNN_light.aedat, userNN_light_labels.csv, trials_to_train.txt, trials_to_test.txt), or
        with tonic's (ibmGestureTrain and ibmGestureTest, themselves or in a folder DVSGesture)
    split : "train", "validation" or "test"; test has the users of the set's own test list, validation has four users
        of its training list, drawn by `seed`, and train has the others
    seed : int, of the users that validate

    Returns
    -------
    Recordings; labels are 0 to 10 in the order of GESTURES. Axes and polarity are as in the files

    Raises
    ------
    InputError
        where files are missing or broken, a label is outside, a gesture ends before it begins, a trial is listed twice,
        or a user is in training and test.
    """
    needs(root, (str, PathLike), "dvs_gesture.root", "Pass the path of the folder.")
    root = Path(root)
    if split not in SPLITS:
        raise InputError(f"dvs_gesture.split: found {split!r}, allowed {', '.join(SPLITS)}")
    part, other = ("test", "train") if split == "test" else ("train", "test")
    home = root / "DVSGesture" if (root / "DVSGesture").is_dir() else root
    if (root / LISTS[part]).is_file():
        cuts, others = _ibm(root, part), _users(root / LISTS[other], _listed(root / LISTS[other]))
    elif (home / FOLDERS[part]).is_dir():
        folders = sorted({path.parent for path in (home / FOLDERS[other]).rglob("*.npy")})
        cuts, others = _tonic(home, part), _users(home / FOLDERS[other], folders)
    else:
        raise InputError(
            f"{root}: found neither {LISTS[part]} (IBM's folder) nor {FOLDERS[part]} (tonic's). DVS128 Gesture is at "
            f"{PAGE} under CC BY 4.0; unpack it there. Without it, s2nir.data.synthetic_gestures(n, seed) makes "
            "synthetic recordings of the same classes."
        )
    both = sorted({cut.user for cut in cuts} & others)
    if both:
        raise InputError(
            f"{root}: user {both[0]} is in training and in test; a test needs users of its own. Unpack the set again."
        )
    if part == "train":
        users = sorted({cut.user for cut in cuts})
        if len(users) <= VALIDATION_USERS:
            raise InputError(
                f"{root}: found {len(users)} training users; {VALIDATION_USERS} validate and at least one has to train"
            )
        order = np.argsort(np.random.default_rng(seed).random(len(users)), kind="stable")
        held = {users[k] for k in order[:VALIDATION_USERS]}
        cuts = [cut for cut in cuts if (cut.user in held) == (split == "validation")]
    return Recordings(
        name=f"DVS128 Gesture {split}",
        synthetic=False,
        classes=GESTURES,
        sensor=SENSOR,
        labels=np.array([cut.label for cut in cuts], np.int64),
        source=Cuts(tuple(cuts)),
        places=np.arange(len(cuts)),
    )


def _user(name: str, where: str) -> int:
    match = TRIAL.fullmatch(name)
    if not match:
        raise InputError(f"{where}: found the trial {name!r}, needed names such as user01_fluorescent")
    return int(match[1])


def _users(where: Path, trials: list[Path]) -> set[int]:
    return {_user(path.stem, str(where)) for path in trials}


def _listed(trials: Path) -> list[Path]:
    """The files that a list of trials names; none where there is no list."""
    if not trials.is_file():
        return []
    return [trials.parent / line for line in trials.read_text(encoding="utf-8", errors="replace").split()]


def _ibm(root: Path, part: str) -> list[Cut]:
    """Gestures of the trials that one of the lists names."""
    cuts = []
    trials = root / LISTS[part]
    seen: set[str] = set()
    for path in _listed(trials):
        line, user = path.name, _user(path.stem, str(trials))
        if line in seen:
            raise InputError(f"{trials}: lists {line} twice. Remove one of the lines, or unpack the set again.")
        seen.add(line)
        if not path.is_file():
            raise InputError(f"{trials}: lists {line}, and {path} is not there. Unpack the set again.")
        labels = path.with_name(f"{path.stem}_labels.csv")
        if not labels.is_file():
            raise InputError(f"{path}: its labels are not there: {labels.name}. Unpack the set again.")
        cuts += [Cut(path, user, label, start, stop) for label, start, stop in _labels(labels)]
    if not cuts:
        raise InputError(f"{trials}: lists no gestures")
    return cuts


def _labels(path: Path) -> list[tuple[int, int, int]]:
    """Label from 0, begin and end (microseconds) of each gesture of a trial."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    if not rows or [cell.strip() for cell in rows[0]] != COLUMNS:
        found = ",".join(rows[0]) if rows else "nothing"
        raise InputError(f"{path}: begins with {found!r}, needed the columns {','.join(COLUMNS)}")
    found_all = []
    for k, row in enumerate(rows[1:], 2):
        try:
            label, start, stop = (int(cell) for cell in row)
        except ValueError:
            raise InputError(f"{path}, row {k}: found {','.join(row)!r}, needed three whole numbers") from None
        if not 1 <= label <= len(GESTURES):
            raise InputError(f"{path}, row {k}: found class {label}, allowed 1..{len(GESTURES)}")
        if not 0 <= start < stop:
            raise InputError(f"{path}, row {k}: the gesture is from {start} to {stop} us, allowed 0 <= begin < end")
        found_all.append((label - 1, start, stop))
    return found_all


def _tonic(home: Path, part: str) -> list[Cut]:
    """Gestures of tonic's folder: one .npy each, its name the label."""
    folder = home / FOLDERS[part]
    archive = home / f"{FOLDERS[part]}.tar.gz"
    if archive.is_file():
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        known = gesture_archives()[archive.name]
        if found != known:
            raise InputError(f"{archive}: its MD5 is {found}, not {known}. Download it again.")
    cuts = []
    for path in sorted(folder.rglob("*.npy"), key=lambda p: (p.parent.as_posix(), p.stem.zfill(3))):
        if not path.stem.isdigit() or int(path.stem) >= len(GESTURES):
            raise InputError(f"{path}: the file's name is its label; allowed 0..{len(GESTURES) - 1}")
        cuts.append(Cut(path, _user(path.parent.name, str(path)), int(path.stem)))
    if not cuts:
        raise InputError(f"{folder}: found no .npy files. Unpack {archive.name} again.")
    return cuts
