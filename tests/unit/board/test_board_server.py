import re
import socket
import subprocess
import sys

import pytest

from fulgurite.board import server
from fulgurite.errors import ConfigError


def test_a_misspelled_name_is_refused_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "sweeps" / "night").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"there is no run, sweep or folder nigth .*did you mean night\?"):
        server.main(["nigth"])


def test_a_port_that_is_taken_is_refused(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        # In a process of its own: what TensorBoard imports warns.
        line = [sys.executable, "-c", "import sys; from fulgurite.cli import main; sys.exit(main())", "board", tmp_path]
        said = subprocess.run([*line, f"--port={port}"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (2, "")
    assert re.fullmatch(f"error: TensorBoard does not start: .* port {port}.* already in use\n", said.stderr)


def test_without_outputs_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no folder outputs here; give a folder"):
        server.main([])
