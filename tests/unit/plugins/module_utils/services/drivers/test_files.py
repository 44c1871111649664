# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that may be missing, or hold anything."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"a\nb", "a\nb"), (b"", ""), (b"a\xe9", "a\N{REPLACEMENT CHARACTER}"), (None, None)],
)
def test_what_cannot_be_read_is_told_apart_from_what_is_empty(tmp_path, content, found):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    assert files.found(str(path)) == found
    assert files.text(str(path)) == (found or "")
    assert files.found(str(tmp_path)) is None
