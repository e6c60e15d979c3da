"""The arguments of what is asked of components, of runs by name and of the machine; nothing else is imported."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from astrojepa_bench.cli.shared_arguments import json_flag, runs_folder, settings

COMPONENT_KINDS = ("masker", "objective", "encoder", "evaluator", "dataset")  # that `new` can write


def catalogue(parser: ArgumentParser) -> None:
    """Declare the arguments of `list`."""
    parser.epilog = """examples:
  astrojepa-bench list maskers
  astrojepa-bench list --json
  astrojepa-bench list runs --out board"""
    parser.add_argument("kind", nargs="?", help="only this kind, such as maskers; or runs, the newest first")
    runs_folder(parser)
    json_flag(parser)


def show(parser: ArgumentParser) -> None:
    """Declare the arguments of `show`."""
    parser.epilog = "examples:\n  astrojepa-bench show masker:random\n  astrojepa-bench show 3f9a2c --json"
    parser.add_argument(
        "subject",
        metavar="NAME_OR_RUN",
        help="a name, a record's .json, the first letters of a run id, or latest",
    )
    runs_folder(parser)
    parser.add_argument("--curves", action="store_true", help="of a run: print its training curves too")
    json_flag(parser)


def new(parser: ArgumentParser) -> None:
    """Declare the arguments of `new`."""
    parser.epilog = """examples:
  astrojepa-bench new masker ringlike
  astrojepa-bench new objective contrast --standalone

Writes astrojepa_ringlike.py and test_ringlike.py into the current folder; --standalone makes the folder
astrojepa-contrast/, a project that can be installed. Existing files are never overwritten."""
    parser.add_argument("kind", choices=COMPONENT_KINDS, help="which kind of component")
    parser.add_argument(
        "name", metavar="NAME", help="the name that users will type, such as ring or ring-like"
    )
    parser.add_argument("--standalone", action="store_true", help="make a project that can be installed")


def check(parser: ArgumentParser) -> None:
    """Declare the arguments of `check`."""
    parser.epilog = """examples:
  astrojepa-bench check masker:random
  astrojepa-bench check encoder:timm:resnet18
  astrojepa-bench check --module astrojepa_ringlike.py
  astrojepa-bench check hdf5 --set dataset.path=FILE.h5

On the CPU, on synthetic galaxies, without a network. Datasets that draw galaxies draw 200."""
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("name", nargs="?", metavar="NAME", help="a component, or kind:name")
    subject.add_argument(
        "--module", metavar="PATH", type=Path, help="every component of a plugin file or folder"
    )
    subject.add_argument("--all", action="store_true", help="every component that needs no option to be set")
    settings(parser, "KIND")
    json_flag(parser)


def completion(parser: ArgumentParser) -> None:
    """Declare the arguments of `completion`."""
    parser.epilog = """examples:
  eval "$(astrojepa-bench completion bash)"             for ~/.bashrc; with zsh for ~/.zshrc
  astrojepa-bench completion fish | source              for ~/.config/fish/config.fish"""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")


def doctor(parser: ArgumentParser) -> None:
    """Declare the arguments of `doctor`."""
    parser.epilog = "examples:\n  astrojepa-bench doctor\n  astrojepa-bench doctor --json"
    json_flag(parser)
