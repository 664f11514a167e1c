"""Requirements and addresses come from settings.ini; everything else is in pyproject.toml."""

import shlex
from configparser import ConfigParser

from setuptools import setup

cfg = ConfigParser(delimiters=["="])
cfg.read("settings.ini", encoding="utf-8")
ini = cfg["DEFAULT"]
EXTRAS = ("dev", "docs", "train", "corpus", "synthesis", "imaging", "monai", "llm", "wandb")
setup(
    install_requires=shlex.split(ini["requirements"]),
    extras_require={extra: shlex.split(ini[f"{extra}_requirements"]) for extra in EXTRAS},
    project_urls={"Repository": ini["git_url"], "Documentation": ini["doc_host"] + ini["doc_baseurl"]},
)
