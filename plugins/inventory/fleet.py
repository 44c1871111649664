# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory plugin ``fleet``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: Put the members that Consul's record desires into their groups
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads the records that M(scaleout.platform.members) keeps in Consul and changes the groups that other inventory
    files have filled. A group without a record stays as it is.
  - The file's name ends in C(members.yml) or C(fleet.yml). It has to be read after the files that name the hosts, so
    its name sorts after theirs in an inventory directory, or its C(-i) comes later.
  - A member, and a host on its way to be one, is in its group. A host that the inventory does not know is added with
    C(ansible_host), C(fleet_provider) and O(host_variables). One that it knows keeps its variables.
  - A host that is leaving, or was written off, is in the group C(fleet_leaving) instead, unless another group
    that does some work has it as well, such as C(cache). One that was written off is in C(fleet_lost) as well.
  - A host that the inventory has in the group and the record does not name has been released. It is taken out of the
    inventory, or put into the group C(fleet_released) when it is in other groups as well. In a
    group that does some work it simply goes on.
  - Each host that a record names has C(fleet_member_state), which is C(joining), C(member), C(leaving) or
    C(lost).
  - All hosts have C(fleet_static_members), a dictionary with the name and the address of each host that the inventory
    itself has in the group, by group. M(scaleout.platform.members) needs those that left as well.
  - When Consul cannot be reached, refuses the token, or has a record that is not valid, O(when_unreachable) says what
    counts. When Consul has lost a record that was seen before, that one counts, with a warning.
  - What is wrong with this configuration, and members that are unknown, end Ansible with exit status 4. Other plugins
    of the inventory only cause a warning then, and a run would take the inventory's hosts for those that serve.
  - All hosts have C(fleet_cache_file), the path of the file that keeps the records seen last. It is empty where there
    is none.
  - All hosts have C(fleet_not_members), the hosts that the inventory has in a group and its record does not name, by
    group. M(scaleout.platform.preflight) tells them.
options:
  plugin:
    description: Marks the file as one for this plugin.
    type: str
    required: true
    choices: [scaleout.platform.fleet]
  groups:
    description: The groups that a record may govern.
    type: list
    elements: str
    default: [api]
  consul_url:
    description:
      - The scheme, host and port of Consul's HTTP API, such as V(https://consul.example.com:8501).
      - By default, each host of O(consul_server_group) is asked at its C(ansible_host), over HTTP and port 8500, until
        one answers.
      - May be a template.
    type: str
  consul_server_group:
    description: The group of Consul's servers.
    type: str
    default: consul_server
  token:
    description:
      - SecretID of an ACL token that may read the keys under O(prefix). May be a template.
      - It goes before O(token_file), which goes before O(token_vars_file).
    type: str
    env:
      - name: CONSUL_HTTP_TOKEN
  token_file:
    description: A file that holds the token. A relative path begins at the folder of this configuration.
    type: str
    env:
      - name: CONSUL_HTTP_TOKEN_FILE
  token_vars_file:
    description:
      - A YAML file of variables, possibly encrypted with Ansible Vault, that holds the token. A relative path begins at
        the folder of this configuration.
      - Nothing is read where there is no such file.
    type: str
  token_variable:
    description: The variable in O(token_vars_file) that is the token. It may be a template of others in that file.
    type: str
    default: consul_reader_token
  prefix:
    description: The folder of Consul's KV that holds a record for each group.
    type: str
    default: scaleout/members
  timeout:
    description: Seconds that Consul may take to accept the connection, and then to answer.
    type: float
    default: 2.0
  ca_file:
    description: File with the certificates of the authorities to trust; those of the operating system by default.
    type: str
    aliases: [ca_path]
  validate_certs:
    description: Whether a certificate that cannot be verified is an error.
    type: bool
    default: true
  cache_file:
    description:
      - A file that keeps the records seen last, for the time when Consul cannot be reached.
      - A relative path begins at the folder of this configuration. Ansible would read a file in an inventory directory
        as an inventory, unless its name begins with a dot.
      - By default, a hidden file beside this configuration, such as C(.members.json) beside C(members.yml). With an
        empty path nothing is kept.
      - May be a template of C(inventory_dir), the folder of this configuration. Give each inventory a file of its own.
        One that was written for an inventory of another name, as it is after an inventory was copied, is not used.
    type: str
  when_unreachable:
    description:
      - What counts when Consul does not say who the members are.
      - V(cached) takes the records seen last, with a warning, or the inventory as it is where Consul had none then. It
        fails where Consul was never seen.
      - V(static) does the same, and takes the inventory as it is where Consul was never seen. This is for the first
        run, when there is no Consul yet.
      - V(fail) fails.
    type: str
    choices: [cached, static, fail]
    default: cached
    env:
      - name: SCALEOUT_WHEN_UNREACHABLE
  host_variables:
    description: Variables of the hosts that the inventory does not know. They may be templates.
    type: dict
    default: {}
  spare_group:
    description: The group of hosts that wait for work. A host that a record names is not in it.
    type: str
    default: fleet_spare
seealso:
  - module: scaleout.platform.members
"""

EXAMPLES = r"""
# inventories/lab/members.yml, beside hosts.yml: Consul's address comes from the group consul_server in hosts.yml.
plugin: scaleout.platform.fleet
groups: [api]
token_vars_file: group_vars/all/secrets.yml
cache_file: ../../.lab/members-{{ inventory_dir | basename }}.json
when_unreachable: static

---
# inventories/production/members.yml. In AWX, let a credential type inject CONSUL_HTTP_TOKEN as an environment variable,
# attach that credential to an inventory source that is sourced from a project, and choose the inventory's folder.
plugin: scaleout.platform.fleet
groups: [api]
consul_url: https://consul.example.com:8501
ca_file: files/consul-ca.pem
host_variables:
  ansible_user: ops
  fleet_docker_memory: 1g
"""

import os
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.inventory import BaseInventoryPlugin

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import (
    LOST,
    Member,
    Record,
    fault_of_address,
)
from ansible_collections.scaleout.platform.plugins.module_utils.operations import fleet_members
from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_platform import working_groups
from ansible_collections.scaleout.platform.plugins.module_utils.topology import renamed

if t.TYPE_CHECKING:
    from ansible.inventory.data import InventoryData
    from ansible.inventory.group import Group
    from ansible.inventory.host import Host
    from ansible.parsing.dataloader import DataLoader


try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19, each text was a template
    trust_as_template = str


#: Ansible's own exit status for an inventory that cannot be read.
_PARSER_ERROR = 4


def _plain(text: str) -> str:
    """Let a text without a template pass for one of an inventory file.

    ``ansible-inventory --list`` would mark it as unsafe otherwise, and readers other than Ansible trip over the mark.
    """
    return text if "{" in text else trust_as_template(text)


class InventoryModule(BaseInventoryPlugin):
    """Changes the groups of an inventory as Consul's records say."""

    NAME = "scaleout.platform.fleet"

    def verify_file(self, path: str) -> bool:
        """Take only files that are named as documented."""
        names = ("members.yml", "members.yaml", "fleet.yml", "fleet.yaml")
        return bool(super().verify_file(path)) and path.endswith(names)

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        """Read the records and change the groups."""
        super().parse(inventory, loader, path, cache)
        self._file = os.path.abspath(path)
        self._folder = os.path.dirname(self._file)
        try:
            self._refuse_renamed(self._read_config_data(path) or {})
            groups = self.get_option("groups")
            fleet_members.check_groups(groups)
            if not inventory.hosts:
                self.display.warning(f"fleet: {path} is read before any host is known; its name has to sort last.")
            question = self._question(groups)
            answer = fleet_members.ask(question)
        except ScaleoutError as error:
            # The client's options are this plugin's, with a prefix.
            option = str(error.facts.get("option", ""))
            own = option[len("consul_") :] if option in fleet_members.CLIENT_OPTIONS else option
            self._give_up(error.coded.replace(option, own, 1))
        except AnsibleError as error:
            self._give_up(str(error))
        for warning in answer.warnings:
            self.display.warning(f"fleet: {warning}")
        for remark in answer.remarks:
            self.display.v(f"fleet: {remark}")
        static = {name: self._hosts(name) for name in groups}
        inventory.set_variable(
            "all", "fleet_static_members", {name: [self._describe(host) for host in static[name]] for name in groups}
        )
        inventory.set_variable("all", "fleet_cache_file", _plain(question.cache))
        outside = {name: self._outside(record, static[name]) for name, record in answer.records.items()}
        inventory.set_variable("all", "fleet_not_members", {name: hosts for name, hosts in outside.items() if hosts})
        # A playbook may name it where no host is in it.
        inventory.add_group("fleet_lost")
        for name, record in answer.records.items():
            self._govern(name, record, static[name])

    def _give_up(self, reason: str) -> t.NoReturn:
        """End Ansible, which makes a warning of any exception and goes on with the hosts of the other files."""
        self.display.error(f"fleet: {self._file}: {reason}", wrap_text=False)
        raise SystemExit(_PARSER_ERROR)

    # Where Consul is, and who asks

    def _question(self, groups: list[str]) -> fleet_members.Question:
        url, ca_file, cache = (self.get_option(name) for name in ("consul_url", "ca_file", "cache_file"))
        if cache is None:
            cache = f".{os.path.splitext(os.path.basename(self._file))[0]}.json"
        else:
            cache = self._template(cache, {"inventory_dir": self._folder}) or ""
        return fleet_members.Question(
            groups=groups,
            servers=[fleet_members.server_at(self._template(url) or "")] if url else self._servers(),
            expected=bool(url),
            prefix=self.get_option("prefix"),
            client={
                "consul_token": self._token(),
                "consul_timeout": self.get_option("timeout"),
                "consul_ca_file": self._path(ca_file) if ca_file else None,
                "consul_validate_certs": self.get_option("validate_certs"),
            },
            cache=self._path(cache) if cache else "",
            cache_name=cache,
            when_unreachable=self.get_option("when_unreachable"),
            token_source=self._token_source(),
            inventory=os.path.basename(self._folder),
        )

    def _servers(self) -> list[fleet_members.Server]:
        return [
            {"consul_scheme": "http", "consul_host": self._address(host), "consul_port": fleet_members.PORTS["http"]}
            for host in self._hosts(self.get_option("consul_server_group"))
        ]

    def _token(self) -> str | None:
        """Return the token from the first place that has one."""
        token = self.get_option("token")
        if token:
            return self._template(token)
        try:
            if self.get_option("token_file"):
                with open(self._path(self.get_option("token_file")), encoding="utf-8") as file:
                    return file.read().strip() or None
            variables = self.get_option("token_vars_file") and self._path(self.get_option("token_vars_file"))
            if not variables or not os.path.exists(variables):
                return None
            content = self.loader.load_from_file(variables, cache="none") or {}
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise InvalidInput("token_file", self.get_option("token_file"), f"cannot be read: {reason}") from None
        except AnsibleError as error:
            reason = str(error).rstrip(".")
            raise InvalidInput(
                "token_vars_file", self.get_option("token_vars_file"), f"cannot be read: {reason}"
            ) from error
        token = content.get(self.get_option("token_variable")) if isinstance(content, dict) else None
        # Who may write the file of secrets may write templates.
        return self._template(trust_as_template(str(token)), content) if token else None

    def _token_source(self) -> str:
        """Say where the token comes from, to a person whose token Consul refuses."""
        file, variables = self.get_option("token_file"), self.get_option("token_vars_file")
        variable = self.get_option("token_variable")
        if self.get_option("token"):
            return "The token is that of the environment variable CONSUL_HTTP_TOKEN, or of the option token."
        if file:
            return f"The token is what the file {file} holds (token_file)."
        if variables:
            return f"The token is the variable {variable} of the file {variables} (token_vars_file)."
        return "There is no token: set the environment variable CONSUL_HTTP_TOKEN to that of consul_reader_token."

    @staticmethod
    def _refuse_renamed(config: dict[str, t.Any]) -> None:
        """Ansible ignores an option that a plugin does not have; one that it had would do nothing."""
        for old, new in renamed.INVENTORY_OPTIONS.items():
            if old in config:
                raise InvalidInput(old, config[old], f"is not read any more; the option is called {new} now")

    def _template(self, text: t.Any, variables: dict[str, t.Any] | None = None) -> str | None:
        """Render a text that may be a template; None where nothing comes out."""
        self.templar.available_variables = variables or {}
        try:
            return str(self.templar.template(text) or "").strip() or None
        finally:
            self.templar.available_variables = {}

    def _path(self, path: str) -> str:
        return os.path.join(self._folder, os.path.expanduser(path))

    # The inventory

    def _govern(self, name: str, record: Record, static: list[Host]) -> None:
        """Make a group what its record says."""
        self.inventory.add_group(name)
        for member in record.members:
            known = self.inventory.hosts.get(member.name)
            self._introduce(member, known)
            if known:
                self._take_out(known, self.get_option("spare_group"))
            if member.is_desired:
                self.inventory.add_host(member.name, group=name)
            else:
                if known:
                    self._take_out(known, name)
                if not (known and self._works(known)):
                    self.inventory.add_group("fleet_leaving")
                    self.inventory.add_host(member.name, group="fleet_leaving")
                    if member.state == LOST:
                        self.inventory.add_host(member.name, group="fleet_lost")
            self.inventory.set_variable(member.name, "fleet_member_state", _plain(member.state))
        for host in static:
            if record.get(host.name) is None:
                self._release(host, name)

    def _introduce(self, member: Member, known: Host | None) -> None:
        """Add a host that the inventory does not know."""
        if known:
            address = self._address(known)
            if address not in (member.address, known.name):
                self.display.warning(
                    f"fleet: {member.name} is at {address} in the inventory and at {member.address} in Consul's "
                    "record; the inventory's address is used."
                )
            return
        self.inventory.add_host(member.name)
        variables = {"ansible_host": _plain(member.address), "fleet_provider": _plain(member.provider)}
        for variable, value in {**self.get_option("host_variables"), **variables}.items():
            self.inventory.set_variable(member.name, variable, value)

    def _release(self, host: Host, group: str) -> None:
        self._take_out(host, group)
        if {other.name for other in host.get_groups()} <= {"all", "ungrouped"}:
            self.inventory.remove_host(host)
        elif not self._works(host):
            self.inventory.add_group("fleet_released")
            self.inventory.add_host(host.name, group="fleet_released")

    def _works(self, host: Host) -> bool:
        """Whether a host does something else as well, so that plays must not leave it alone."""
        working = working_groups(self.get_option("groups"))
        return any(group.name in working for group in host.get_groups())

    def _outside(self, record: Record, static: list[Host]) -> list[str]:
        """Name the hosts that the inventory has in a group and its record does not."""
        return [_plain(host.name) for host in static if record.get(host.name) is None]

    def _take_out(self, host: Host, name: str) -> None:
        """Take a host out of a group and of the groups below it."""
        group: Group | None = self.inventory.groups.get(name)
        for each in [*group.get_descendants(), group] if group else []:
            each.remove_host(host)

    def _hosts(self, group: str) -> list[Host]:
        return list(self.inventory.groups[group].get_hosts()) if group in self.inventory.groups else []

    def _address(self, host: Host) -> str:
        """Return a host's address; templates can use its own variables only, since no other is known yet."""
        variables = host.get_vars()
        try:
            address = self._template(variables.get("ansible_host"), variables)
        except AnsibleError:
            return host.name
        return host.name if address is None or fault_of_address(address) else address

    def _describe(self, host: Host) -> dict[str, str]:
        """Return a host of the inventory as M(scaleout.platform.members) wants it."""
        described = {"name": _plain(host.name), "address": _plain(self._address(host))}
        provider = host.get_vars().get("fleet_provider")
        return {**described, "provider": provider} if isinstance(provider, str) else described
