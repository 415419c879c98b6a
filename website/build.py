"""Builds the site: `make docs-site`. Warnings and dead links are errors.

    python -m website.build [--version 1.2] [--out FOLDER]

The folder gets one subfolder for each version. `versions.json` lists them for the menu of versions.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from website import agents, links
from website.navigation import REPOSITORY, unlisted
from website.stage import stage

OUT = REPOSITORY / ".local" / "docs"
FORWARD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Documentation</title>
<meta http-equiv="refresh" content="0; url={0}/index.html"><a href="{0}/index.html">Documentation</a></html>
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one version, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m website.build")
    parser.add_argument("--version", default="latest", help="the name of the version's folder")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder with all versions")
    given = parser.parse_args(arguments)
    status = build(given.version, given.out)
    if not status:
        print(f"Built {given.out / given.version}/index.html")
    return status


def build(version: str, out: Path) -> int:
    """Build one version into its folder of `out`."""
    from sphinx.cmd.build import build_main

    os.environ["SITE_VERSION"] = version
    for page in unlisted():
        print(f"docs/{page} has no row in docs/README.md, so it is in the section More.", file=sys.stderr)
    target = out / version
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="site-") as temporary:
        folder = Path(temporary) / "pages"
        pages = stage(folder)
        own = ["-c", str(Path(__file__).parent), "-d", f"{temporary}/doctrees"]
        if status := build_main(
            ["-b", "html", "-W", "--keep-going", "-n", "-q", *own, str(folder), str(target)]
        ):
            return int(status)
    agents.write(target, pages)
    _list_versions(out)
    if broken := links.broken(target):
        print("Dead links:", *broken, sep="\n  ", file=sys.stderr)
    return 1 if broken else 0


def _list_versions(out: Path) -> None:
    """Write the menu of versions, the newest first, and the page that leads to the first of them."""
    names = [path.name for path in out.iterdir() if (path / "index.html").exists()]
    names.sort(key=_order, reverse=True)
    entries = [{"version": name, "name": name, "url": f"../{name}/"} for name in names]
    (out / "versions.json").write_text(json.dumps(entries, indent=1) + "\n")
    (out / "index.html").write_text(FORWARD.format(names[0]))


def _order(name: str) -> tuple[bool, list[int]]:
    return name == "latest", [int(part) if part.isdigit() else -1 for part in name.split(".")]


if __name__ == "__main__":
    sys.exit(main())
