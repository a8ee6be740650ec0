from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cbir_settings import WrongSetting, read_settings

LEAST: dict[str, Any] = {"IndexerUrl": "http://127.0.0.1:8090/", "Secret": "s3cret"}


def test_the_least_section_gives_the_defaults(tmp_path: Path) -> None:
    configuration = {"CBIR": LEAST, "StorageDirectory": "storage"}
    settings = read_settings(configuration, str(tmp_path / "orthanc.json"))
    assert settings.indexer_url == "http://127.0.0.1:8090"
    assert settings.outbox_path == tmp_path / "storage" / "cbir-outbox.sqlite"
    assert settings.button
    assert "s3cret" not in repr(settings)


def test_the_outbox_lies_beside_the_index_unless_told_otherwise(tmp_path: Path) -> None:
    configuration = {"CBIR": LEAST, "StorageDirectory": "/slow", "IndexDirectory": "/fast"}
    assert read_settings(configuration, str(tmp_path)).outbox_path == Path("/fast/cbir-outbox.sqlite")
    told = {**configuration, "CBIR": {**LEAST, "OutboxPath": "elsewhere/o.sqlite"}}
    assert read_settings(told, str(tmp_path)).outbox_path == tmp_path / "elsewhere" / "o.sqlite"


def test_the_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    section = {"IndexerUrl": LEAST["IndexerUrl"], "SecretFile": "secret"}
    assert read_settings({"CBIR": section}, str(tmp_path)).secret == "from a file"


@pytest.mark.parametrize(
    ("section", "named"),
    [
        (None, '"CBIR" section'),
        ({"Secret": "s"}, "CBIR.IndexerUrl"),
        ({**LEAST, "IndexerURL": "x"}, "CBIR.IndexerURL is not a setting"),
        ({**LEAST, "IndexerUrl": "127.0.0.1:8090"}, "CBIR.IndexerUrl"),
        ({**LEAST, "IndexerUrl": "ftp://host"}, "CBIR.IndexerUrl"),
        ({**LEAST, "IndexerUrl": "http://host:99999"}, "CBIR.IndexerUrl"),
        ({**LEAST, "IndexerUrl": "http://u:p@host"}, "CBIR.IndexerUrl"),
        ({"IndexerUrl": LEAST["IndexerUrl"]}, "CBIR.Secret"),
        ({**LEAST, "Secret": ""}, "CBIR.Secret"),
        ({**LEAST, "SecretFile": "also"}, "CBIR.Secret"),
        ({**LEAST, "Secret": "two\nlines"}, "secret"),
        ({"IndexerUrl": LEAST["IndexerUrl"], "SecretFile": "not-there"}, "CBIR.SecretFile"),
        ({**LEAST, "TimeoutSeconds": 0}, "CBIR.TimeoutSeconds"),
        ({**LEAST, "TimeoutSeconds": "60"}, "CBIR.TimeoutSeconds"),
        ({**LEAST, "MaximumUploadMegabytes": True}, "CBIR.MaximumUploadMegabytes"),
        ({**LEAST, "Button": "yes"}, "CBIR.Button"),
        ({**LEAST, "Origins": "https://x"}, "CBIR.Origins"),
        ({**LEAST, "OutboxPath": 3}, "CBIR.OutboxPath"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, section: dict[str, Any] | None, named: str) -> None:
    configuration = {} if section is None else {"CBIR": section}
    with pytest.raises(WrongSetting, match=named):
        read_settings(configuration, str(tmp_path))


def test_a_network_without_encryption_is_noticed(tmp_path: Path) -> None:
    for url, noticed in (
        ("http://10.0.0.2:8090", True),
        ("https://10.0.0.2", False),
        ("http://[::1]:8090", False),
    ):
        settings = read_settings({"CBIR": {**LEAST, "IndexerUrl": url}}, str(tmp_path))
        assert settings.leaves_the_machine_unencrypted is noticed
