"""The command that names superfluous rights."""

from pathlib import Path

import pytest

from local.deploy import read_template
from tools import permissions
from tools.translate import translate

ARN = "arn:aws:sts::000000000000:assumed-role/whatsapp-{}-0AB1/whatsapp-send"


def test_each_right_that_nobody_needed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "used"
    everything = permissions.granted(translate(read_template(), {})["Resources"])
    needed = sorted(everything - permissions.NOT_ASKED_FOR_HERE.keys())
    lines = [f"{ARN.format(role)} {sid} {action} {number}\n" for role, sid, action, number in needed]
    file.write_text("".join(lines))
    assert permissions.main(file) == 0
    file.write_text("".join(lines[1:]))
    assert permissions.main(file) == 1
    role, sid, action, number = needed[0]
    assert f"{role}: nothing needs {action} of {sid}, resource {number + 1}" in capsys.readouterr().err


def test_what_tests_look_into_a_role_for_does_not_count() -> None:
    probe = ARN.format("SendRole").replace("whatsapp-send", "probe")
    assert permissions.used([f"{probe} Alert sns:Publish 0", "* x sqs:SendMessage 0"]) == set()


def test_without_a_test_run_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert permissions.main(tmp_path / "none") == 1
    assert "`make test` writes it" in capsys.readouterr().err
