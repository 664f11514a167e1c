"""`phoenix image` as a shell calls it: one process writes, another one reads, and nothing half done is left."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from phoenix.cli import main
from phoenix.imaging.autoencoder import AutoencoderConfig
from phoenix.imaging.codec import compress, decompress, load_picture, save_picture
from phoenix.imaging.rate import CodecConfig, PictureCodec

PROGRAM = "import sys, phoenix.cli; sys.exit(phoenix.cli.main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "The folder of a codec with random weights"
    folder = tmp_path_factory.mktemp("codec") / "model"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = PictureCodec(CodecConfig(AutoencoderConfig(base_channels=4, latent_channels=6)))
        for name, p in codec.prior.named_parameters():
            torch.nn.init.normal_(p, 0, 0.05 if "look" in name else 0.3)
    codec.save_pretrained(folder)
    return folder


def test_a_file_goes_from_process_to_process(tmp_path, model, generator, capsys):
    picture = torch.randint(256, (3, 50, 37), dtype=torch.uint8, generator=generator)
    source, file, back = save_picture(picture, tmp_path / "a.png"), tmp_path / "a.phx", tmp_path / "b.png"
    command = [sys.executable, "-c", PROGRAM, "image", "compress", str(source), str(file), "--channels", "3"]
    done = subprocess.run([*command, "--model", str(model)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    codec = PictureCodec.from_pretrained(model)
    assert file.read_bytes() == compress(codec, picture)
    assert main(["image", "decompress", str(file), str(back), "--model", str(model)]) == 0
    assert torch.equal(load_picture(back, 3), decompress(codec, file.read_bytes()))

    file.write_bytes(file.read_bytes()[:-5])
    words = ["image", "decompress", str(file), str(tmp_path / "c.png"), "--model", str(model)]
    assert main(words) == 2 and "cut short" in (said := capsys.readouterr().err) and said.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.phx", "a.png", "b.png"]


def test_help_needs_no_torch():
    program = "import sys, phoenix.cli\ntry: phoenix.cli.main(['image', 'compress', '--help'])\nexcept SystemExit: "
    command = [sys.executable, "-c", program + "pass\nprint('torch' in sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "--channels" in done.stdout and done.stdout.splitlines()[-1] == "False"
