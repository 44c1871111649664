# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documents and locks in the Consul of this host. It is a module, so Ansible sends what it imports."""

from __future__ import annotations

import concurrent.futures

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents, lock
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul, Delete, Write
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError

KEY = "scaleout_test/documents"
HOST = "127.0.0.1"
ANNE, BOB = {"user": "anne"}, {"user": "bob"}


def code_of(call) -> str:
    """The code of the error that a call raises; empty when it raises none."""
    try:
        call()
    except ScaleoutError as error:
        return error.code
    return ""


def equal(found, expected) -> None:
    if found != expected:
        raise AssertionError(f"{found!r} is not {expected!r}")


def count(manager: str) -> None:
    """Add 1 to the number under the key ten times, while others do the same."""
    consul = Consul(HOST, 8500, manager)

    def add() -> None:
        seen = documents.read(consul, KEY)
        documents.write(consul, KEY, (seen.value if seen else 0) + 1, seen)

    for _turn in range(10):
        documents.retried(add, tries=1000)
    consul.close()


def check(manager: str, read_only: str) -> None:
    consul, reader = Consul(HOST, 8500, manager), Consul(HOST, 8500, read_only)
    try:
        equal(documents.read(consul, KEY), None)
        first = documents.write(consul, KEY, {"n": 1}, None, flags=7)
        equal(documents.read(consul, KEY), first)
        second = documents.write(consul, KEY, {"n": 2}, first)
        equal(code_of(lambda: documents.write(consul, KEY, 3, first)), "conflict")
        equal(code_of(lambda: documents.write(consul, KEY, 3, None)), "conflict")
        equal(code_of(lambda: documents.delete(consul, KEY, first)), "conflict")
        equal(documents.read(consul, KEY), second)
        equal(code_of(lambda: documents.write(reader, KEY, 3, second)), "denied")
        equal(code_of(lambda: documents.read(reader, KEY)), "denied")
        equal(documents.read_folder(reader, KEY), {})
        equal(code_of(lambda: documents.write(consul, KEY, "x" * 400_000, second)), "too_large")
        # All or nothing, and what Consul itself would not take.
        equal(code_of(lambda: documents.commit(consul, [Delete(KEY), Write(KEY + "/a", b"1", 99)])), "conflict")
        equal(documents.read(consul, KEY), second)
        documents.write(consul, KEY, "x" * 390_000, second)
        documents.delete(consul, KEY, documents.read(consul, KEY))
        equal(documents.read(consul, KEY), None)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(count, [manager] * 8))
        equal(documents.read(consul, KEY).value, 80)
        equal(code_of(lambda: lock.take(consul, KEY, ANNE, 100, 60)), "invalid_lock")
        equal(documents.read(consul, KEY).value, 80)
        documents.delete(consul, KEY, documents.read(consul, KEY))

        equal(lock.take(consul, KEY, ANNE, 100, 60), None)
        equal(lock.take(consul, KEY, ANNE, 130, 60), None)
        equal(code_of(lambda: lock.take(consul, KEY, BOB, 190, 60)), "held")
        equal(lock.take(consul, KEY, BOB, 191, 60), ANNE)
        equal(lock.take(consul, KEY, ANNE, 191, 60, gone=BOB.__eq__), BOB)
        equal(lock.take(consul, KEY, BOB, 191, 60, gone=ANNE.__eq__), ANNE)
        # A write behind a fence: it is in time, it is too late, and the document behind it has changed.
        fence = lock.fence(consul, KEY, BOB.__eq__, 191)
        written = documents.write(consul, KEY + "/a", 1, None, fence=fence)
        equal(lock.take(consul, KEY, ANNE, 252, 60), BOB)
        equal(code_of(lambda: documents.write(consul, KEY + "/a", 2, written, fence=fence)), "conflict")
        equal(code_of(lambda: lock.fence(consul, KEY, BOB.__eq__, 252)), "lease_lost")
        equal(documents.read(consul, KEY + "/a"), written)
        fence = lock.fence(consul, KEY, ANNE.__eq__, 252)
        equal(code_of(lambda: documents.write(consul, KEY + "/a", 2, None, fence=fence)), "conflict")
        equal(lock.release(consul, KEY, BOB), False)
        equal(lock.release(consul, KEY, ANNE), True)
        equal(documents.read(consul, KEY), None)
    finally:
        consul.commit([Delete(KEY), Delete(KEY + "/a")])


def main() -> None:
    tokens = {name: {"type": "str", "required": True, "no_log": True} for name in ("management_token", "reader_token")}
    module = AnsibleModule(argument_spec=tokens)
    check(module.params["management_token"], module.params["reader_token"])
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
