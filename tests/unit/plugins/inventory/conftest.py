# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Consul that answers what a test tells it to, and a folder that Ansible reads as an inventory."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time

import pytest
import yaml
from ansible import constants
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible.utils.display import Display
from ansible.vars.manager import VariableManager

from ansible_collections.scaleout.platform.plugins.inventory import fleet

TOKEN = "f4c54a26-2b0c-4c8e-9f0e-2c1d9a3e7b11"

HOSTS = """
all:
  children:
    api:
      hosts:
        api1: {ansible_host: 192.0.2.21}
        api2: {ansible_host: 192.0.2.22}
        api3: {ansible_host: 192.0.2.23, fleet_provider: docker}
    fleet_spare:
      hosts:
        spare1: {ansible_host: 192.0.2.91}
    consul_server:
      hosts:
        consul1: {ansible_host: 192.0.2.61}
"""


class FakeConsul:
    """Holds keys, hides them from clients without the token as Consul does, and notes each request."""

    def __init__(self) -> None:
        self.keys, self.requests, self.silent = {}, [], 0
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                time.sleep(fake.silent)
                fake.requests.append(self.path)
                status, body = fake.answer(self.path, self.headers.get("X-Consul-Token"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def record(self, *names: str) -> None:
        """Hold a record of the group api with hosts of these names as members."""
        members = [
            {
                "name": name,
                "address": f"192.0.2.2{name[-1]}",
                "provider": "docker",
                "provider_id": "",
                "state": "member",
            }
            for name in names
        ]
        document = {"version": 1, "group": "api", "members": [{**member, "since": None} for member in members]}
        self.keys["scaleout/members/api"] = json.dumps(document)

    def answer(self, path: str, token: str | None) -> tuple[int, bytes]:
        key, _mark, query = path[len("/v1/kv/") :].partition("?")
        allowed = token == TOKEN
        if not query and not allowed:
            return 403, b"Permission denied"
        found = [
            {"Key": name, "Value": base64.b64encode(value.encode()).decode(), "ModifyIndex": 7}
            for name, value in self.keys.items()
            if allowed and (name.startswith(key) if query else name == key)
        ]
        return (200, json.dumps(found).encode()) if found else (404, b"")


class Messages(list):
    """What Ansible said while it read the inventory."""

    def about(self, text: str) -> bool:
        return any(text in message for message in self)


@pytest.fixture(name="consul")
def _consul():
    fake = FakeConsul()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture(name="warnings")
def _warnings(monkeypatch):
    said = Messages()
    monkeypatch.setattr(Display, "warning", lambda self, msg, *args, **kwargs: said.append(str(msg)))
    monkeypatch.setattr(Display, "error", lambda self, msg, **kwargs: said.append(str(msg)))
    monkeypatch.setattr(Display, "error_as_warning", lambda self, msg, exception, **kwargs: said.append(str(exception)))
    return said


@pytest.fixture(name="read")
def _read(tmp_path, consul, monkeypatch, warnings):
    """A function that reads a folder of hosts.yml and members.yml as Ansible does."""
    for variable in ("CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE", "SCALEOUT_WHEN_UNREACHABLE"):
        monkeypatch.delenv(variable, raising=False)
    # Ansible's own way to a collection's plugins replaces the import of collections for all other tests as well.
    constants.config.initialize_plugin_configuration_definitions(
        "inventory", fleet.InventoryModule.NAME, yaml.safe_load(fleet.DOCUMENTATION)["options"]
    )
    plugin = fleet.InventoryModule()
    plugin._load_name, plugin._redirected_names = fleet.InventoryModule.NAME, []
    enabled = [plugin, inventory_loader.get("yaml")]
    monkeypatch.setattr(InventoryManager, "_fetch_inventory_plugins", lambda self: enabled)
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "hosts.yml").write_text(HOSTS, encoding="utf-8")

    def read(fails=False, **options):
        options = {"consul_url": consul.url, "token": TOKEN, "when_unreachable": "static", "cache_file": "", **options}
        given = {key: value for key, value in options.items() if value is not None}
        config = {"plugin": "scaleout.platform.fleet", **given}
        (folder / "members.yml").write_text(json.dumps(config), encoding="utf-8")
        if not fails:
            return Read(folder)
        with pytest.raises(SystemExit) as stopped:
            Read(folder)
        assert stopped.value.code == 4
        return None

    return read


class Read:
    """An inventory and the variables of its hosts."""

    def __init__(self, folder) -> None:
        loader = DataLoader()
        self.manager = InventoryManager(loader=loader, sources=[str(folder)])
        self._variables = VariableManager(loader=loader, inventory=self.manager)

    def group(self, name: str) -> list[str]:
        return self.manager.get_groups_dict().get(name, [])

    @property
    def hosts(self) -> list[str]:
        return sorted(self.manager.hosts)

    def variables(self, host: str) -> dict:
        return self._variables.get_vars(host=self.manager.get_host(host))
