import io
import tarfile

import pytest

from cluster import contents


def archive(**changes: object) -> tarfile.TarFile:
    """An archive of a folder, a file and a link, with one thing of the file changed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as out:
        for name, kind in (("app", tarfile.DIRTYPE), ("app/file", tarfile.REGTYPE), ("app/link", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o755
            content = b""
            if kind == tarfile.REGTYPE:
                content = bytes(str(changes.pop("content", "x")), "ascii")
                for field in list(changes):
                    setattr(member, field, changes.pop(field))
            elif kind == tarfile.SYMTYPE:
                member.linkname = "file"
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return tarfile.open(fileobj=packed, mode="r|")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, [], id="the same"),
        pytest.param({"mtime": 99}, [], id="another time counts for nothing"),
        pytest.param({"content": "y"}, ["app/file: sha256 "], id="content"),
        pytest.param({"mode": 0o4755}, ["app/file: mode 755 / 4755"], id="mode"),
        pytest.param({"uid": 7}, ["app/file: owner 0:0 / 7:0"], id="owner"),
        pytest.param(
            {"name": "app/other"}, ["app/file: only in the first", "app/other: only in the second"], id="name"
        ),
    ],
)
def test_two_trees_are_compared_by_all_but_time(changes: dict[str, object], expected: list[str]) -> None:
    found = contents.differences(contents.tree(archive()), contents.tree(archive(**changes)))
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


def test_a_link_that_points_elsewhere_is_reported() -> None:
    one = contents.tree(archive())
    other = one | {"app/link": one["app/link"]._replace(link="elsewhere")}
    assert contents.differences(one, other) == ["app/link: link file / elsewhere"]
