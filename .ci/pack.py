"""Packs released programs: pack.py FOLDER TARGET OUT

Each program of FOLDER has an archive of its own, so that a step fetches what it runs
and no more. With the licences in it, it is the same for the same bytes wherever and
whenever it is made. Prints the paths.
"""

import gzip
import io
import pathlib
import sys
import tarfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXTS = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"]


def programs(folder, ending):
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    names = sorted(program["name"] + ending for program in manifest["bin"])
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        sys.exit(f"{folder} lacks {', '.join(missing)}")
    return manifest["package"]["version"], names


def entry(name, data, mode):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = mode
    return info, io.BytesIO(data)


def pack(path, name, program):
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for text in TEXTS:
                archive.addfile(*entry(text, (ROOT / text).read_bytes(), 0o644))
            archive.addfile(*entry(name, program.read_bytes(), 0o755))


def main():
    folder, target, out = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    version, names = programs(folder, ".exe" if "windows" in target else "")
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = out / f"{name.removesuffix('.exe')}-{version}-{target}.tar.gz"
        pack(path, name, folder / name)
        print(path)


if __name__ == "__main__":
    main()
