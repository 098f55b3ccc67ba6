"""The openstack command of the README, run as it is printed."""

import re
import shlex
from pathlib import Path

from conftest import URL, run
from openstackclient import shell

README = Path(__file__).parents[2] / "README.md"


def test_the_command_of_the_readme_lists_images():
    (command,) = re.findall(r"^openstack .*?[^\\]$", README.read_text(), re.MULTILINE | re.DOTALL)
    words = shlex.split(command.replace("\\\n", " ").replace("http://127.0.0.1:9292", URL))
    code, out, err = run(lambda: shell.main(words[1:]), words)
    assert code == 0, (words, out, err)
    assert "Status" in out or out.strip() == "", out
