"""``equizoo publish`` and ``equizoo download``."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from equizoo.commands.output import OK, format_rows
from equizoo.hub.config import VARIANTS
from equizoo.hub.errors import CheckpointNotFound, PublishError
from equizoo.hub.files import sha256
from equizoo.hub.locate import HubOptions, locate
from equizoo.hub.registry import bundled


def add_download(commands: Any) -> None:
    """Declare ``equizoo download``."""
    parser = commands.add_parser(
        "download",
        help="fetch a model from the Hub, for use without a network",
        description="Fetch a model into the local cache, check its digests, and print its folder. From then "
        "on the same name works without a network.",
    )
    parser.add_argument("model", help="Hub id org/name")
    parser.add_argument("--revision", help="branch, tag or commit")
    parser.add_argument("--variant", choices=VARIANTS, help="only this variant (default: all)")
    parser.add_argument("--cache-dir", metavar="FOLDER", help="where to (default: the Hub client's cache)")
    parser.add_argument("--token", help="access token (default: $HF_TOKEN, or that of `hf auth login`)")
    parser.set_defaults(run=run_download)


def run_download(args: argparse.Namespace) -> int:
    """Fetch a model and print where it is."""
    options = HubOptions(revision=args.revision, token=args.token, cache_dir=args.cache_dir)
    print(locate(args.model, [args.variant] if args.variant else VARIANTS, options))
    return OK


def add_publish(commands: Any) -> None:
    """Declare ``equizoo publish``."""
    parser = commands.add_parser(
        "publish",
        help="publish a checkpoint or a run on the Hub",
        description="Check a checkpoint and send it to the Hub in one commit: card, config.json, the weights "
        "of each variant, results.json and plots. A run is made a checkpoint first; for one with several "
        "seeds or another name, write it with `python -m equizoo.training.publish`.",
    )
    parser.add_argument("source", help="run folder, bundled name or checkpoint folder")
    parser.add_argument("--repo", required=True, metavar="ORG/NAME", help="repository on the Hub")
    parser.add_argument("--recipe", help="of a run: the recipe, bundled or a file (default: the run's name)")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", metavar="BRANCH", help="branch to publish to, made if it is not there")
    parser.add_argument("--dry-run", action="store_true", help="check all, list the files, send nothing")
    parser.add_argument("--token", help="access token (default: $HF_TOKEN, or that of `hf auth login`)")
    parser.set_defaults(run=run_publish)


def run_publish(args: argparse.Namespace) -> int:
    """Publish a checkpoint and print the files and the address of the commit."""
    from equizoo.hub.upload import collect, push

    with _checkpoint(args.source, args.recipe) as folder:
        if not (folder / "results.json").is_file():
            raise PublishError(f"{args.source!r} has no results.json: run `equizoo evaluate` on it first")
        entries = bundled().entries()
        ours = args.source in entries and folder == bundled().folder(args.source)
        files = collect(folder, args.repo, entries[args.source].files if ours else None)
    rows = [
        {"file": path, "bytes": f"{len(content):,}", "sha256": f"{sha256(content)[:16]}…"}
        for path, content in files.items()
    ]
    print(format_rows(rows, ["file", "bytes", "sha256"]))
    if args.dry_run:
        print(f"\n{sum(map(len, files.values())):,} bytes would go to {args.repo}; nothing was sent")
        return OK
    private = args.private or None
    print("\n" + push(files, args.repo, private=private, revision=args.revision, token=args.token))
    return OK


@contextmanager
def _checkpoint(source: str, recipe: str | None) -> Iterator[Path]:
    """Give the checkpoint folder of a name or a folder, or a temporary one that is made from a run."""
    folder = Path(source).expanduser()
    if not (folder / "config.yaml").is_file():
        if not folder.is_dir() and source not in bundled().entries():
            raise CheckpointNotFound(
                f"{source!r} is no bundled name (`equizoo list` shows them), no run folder and no checkpoint"
            )
        yield locate(source)
        return
    from equizoo.training.publish import publish

    with tempfile.TemporaryDirectory() as temporary:
        made = publish(folder, Path(temporary) / "checkpoint", recipe=recipe)
        for plot in sorted((folder / "plots").glob("*.png")):
            (made / "plots").mkdir(exist_ok=True)
            shutil.copyfile(plot, made / "plots" / plot.name)
        yield made
