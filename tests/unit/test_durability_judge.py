from __future__ import annotations

from tests.support.durability import judge
from tests.support.strace import parse

Q = "01kaqv2m4a7xq9zc"
WAL = "/d/spool/spool.db-wal"
CONTENT = f"/d/spool/content/9z/{Q}"

WRITE_ROW = f'10 pwrite64(7<{WAL}>, "\\0\\1{Q}\\0", 4096, 0) = 4096'
SYNC_ROW = f"10 fdatasync(7<{WAL}>) = 0"
CREATE = f'10 openat(AT_FDCWD</>, "{CONTENT}", O_WRONLY|O_CREAT|O_EXCL, 0600) = 9<{CONTENT}>'
WRITE_CONTENT = f'10 write(9<{CONTENT}>, "Received: ...", 120) = 120'
COPY_CONTENT = f"10 copy_file_range(8</d/spool/staging/{Q}>, NULL, 9<{CONTENT}>, NULL, 99999, 0) = 99999"
SYNC_CONTENT = f"10 fsync(9<{CONTENT}>) = 0"
SYNC_FOLDER = "10 fsync(11</d/spool/content/9z>) = 0"
REPLY = f'20 sendto(15<TCP:[1->2]>, "250 2.0.0 Ok: queued as {Q}\\r\\n", 44, 0, NULL, 0) = 44'

SMALL = [WRITE_ROW, SYNC_ROW, REPLY]
LARGE = [CREATE, WRITE_CONTENT, COPY_CONTENT, SYNC_CONTENT, SYNC_FOLDER, WRITE_ROW, SYNC_ROW, REPLY]


def missing(lines: list[str]) -> list[str]:
    return [violation.missing for violation in judge(parse(lines)).violations]


def test_a_small_message_in_order_has_no_violation() -> None:
    report = judge(parse(SMALL))
    assert (report.replies, report.large, report.violations) == (1, 0, ())


def test_a_large_message_in_order_has_no_violation() -> None:
    report = judge(parse(LARGE))
    assert (report.replies, report.large, report.violations) == (1, 1, ())


def test_each_sync_taken_out_is_missed() -> None:
    assert missing([line for line in LARGE if line != SYNC_ROW]) == ["its row was synced"]
    assert missing([line for line in LARGE if line != SYNC_CONTENT]) == ["its content was synced"]
    assert missing([line for line in LARGE if line != SYNC_FOLDER]) == ["the folder of its content was synced"]


def test_a_sync_that_began_before_the_write_ended_does_not_count() -> None:
    assert missing([SYNC_ROW, WRITE_ROW, REPLY]) == ["its row was synced"]
    assert missing([CREATE, SYNC_CONTENT, COPY_CONTENT, SYNC_FOLDER, WRITE_ROW, SYNC_ROW, REPLY]) == [
        "its content was synced"
    ]


def test_a_sync_that_ended_after_the_reply_began_does_not_count() -> None:
    cut = [f"10 fdatasync(7<{WAL}> <unfinished ...>", REPLY, "10 <... fdatasync resumed>) = 0"]
    assert missing([WRITE_ROW, *cut]) == ["its row was synced"]


def test_a_failed_sync_does_not_count() -> None:
    assert missing([WRITE_ROW, SYNC_ROW.replace("= 0", "= -1 EIO (Input/output error)"), REPLY]) == [
        "its row was synced"
    ]


def test_the_sync_of_another_file_does_not_count() -> None:
    assert missing([WRITE_ROW, SYNC_ROW.replace("spool.db", "registry.db"), REPLY]) == ["its row was synced"]


def test_a_new_folder_needs_the_folder_above_synced() -> None:
    made = '10 mkdir("/d/spool/content/9z", 0700) = 0'
    assert missing([made, *LARGE]) == ["the folder above its new folder was synced"]
    assert missing([made, "10 fsync(12</d/spool/content>) = 0", *LARGE]) == []


def test_several_replies_in_one_write_are_all_judged() -> None:
    other = Q[:-1] + "d"
    both = REPLY.replace("\\r\\n", f"\\r\\n250 2.0.0 Ok: queued as {other}\\r\\n")
    report = judge(parse([WRITE_ROW, SYNC_ROW, both]))
    assert report.replies == 2
    assert [violation.queue_id for violation in report.violations] == [other]
