# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The callback ``push_metrics``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: push_metrics
type: aggregate
short_description: Push samples to the metric store, and hand over to the scaling playbook
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Gathers the samples that M(scaleout.platform.service_metrics_info) takes, what each task of the run took, and which
    tasks failed. At the end of the playbook it writes them to the metric store, a Redis, in one round trip.
  - Then it tells whoever decides on the scaling, as O(handover) says. It does so only if there were samples, and never
    in check mode.
  - It does not change a run, whatever happens. A store that is dead, slow or refuses costs at most O(store_timeout)
    seconds, once, and any failure is one warning.
  - Of a result it keeps the sample and the code of a failure. Nothing of a task with C(no_log) leaves but its place in
    its file, its action and its times. Names of tasks are stored as they stand in the file, without what Ansible puts
    into them.
requirements:
  - enabled in C(callbacks_enabled) of C(ansible.cfg)
  - the Python package C(redis), 5 or later, where Ansible runs
options:
  store_host:
    description:
      - Where the metric store is. Without it nothing is pushed.
    type: str
    ini: [{section: push_metrics, key: store_host}]
    env: [{name: SCALEOUT_STORE_HOST}]
    vars: [{name: push_metrics_store_host}]
  store_port:
    description: Its port.
    type: int
    default: 6380
    ini: [{section: push_metrics, key: store_port}]
    env: [{name: SCALEOUT_STORE_PORT}]
    vars: [{name: push_metrics_store_port}]
  store_user:
    description: A user of its access control list, if it has one.
    type: str
    default: ''
    ini: [{section: push_metrics, key: store_user}]
    env: [{name: SCALEOUT_STORE_USER}]
    vars: [{name: push_metrics_store_user}]
  store_password:
    description: Its password, from the environment or from a variable that Ansible Vault keeps.
    type: str
    default: ''
    env: [{name: SCALEOUT_STORE_PASSWORD}]
    vars: [{name: push_metrics_store_password}]
  store_tls:
    description: Whether it is reached by TLS. Its certificate is always verified.
    type: bool
    default: false
    ini: [{section: push_metrics, key: store_tls}]
    env: [{name: SCALEOUT_STORE_TLS}]
    vars: [{name: push_metrics_store_tls}]
  store_ca_file:
    description: A file of PEM with those who may have signed its certificate, instead of the system's.
    type: str
    default: ''
    ini: [{section: push_metrics, key: store_ca_file}]
    env: [{name: SCALEOUT_STORE_CA_FILE}]
    vars: [{name: push_metrics_store_ca_file}]
  store_cert_file:
    description: A certificate of the client, for a store that wants one.
    type: str
    default: ''
    ini: [{section: push_metrics, key: store_cert_file}]
    env: [{name: SCALEOUT_STORE_CERT_FILE}]
    vars: [{name: push_metrics_store_cert_file}]
  store_key_file:
    description: The key of O(store_cert_file).
    type: str
    default: ''
    ini: [{section: push_metrics, key: store_key_file}]
    env: [{name: SCALEOUT_STORE_KEY_FILE}]
    vars: [{name: push_metrics_store_key_file}]
  store_timeout:
    description: Seconds that the push may take altogether.
    type: float
    default: 2
    ini: [{section: push_metrics, key: store_timeout}]
    env: [{name: SCALEOUT_STORE_TIMEOUT}]
    vars: [{name: push_metrics_store_timeout}]
  handover:
    description:
      - Who is told that there are new samples, once they are stored.
      - With V(none), no one.
      - With V(awx), a job template of AWX is launched.
      - With V(webhook), a signed event is posted, for Event-Driven Ansible or for anything else that checks signatures.
      - With V(local), O(playbook) is started on this machine as a process of its own. One runs at a time.
    type: str
    choices: [none, awx, webhook, local]
    default: none
    ini: [{section: push_metrics, key: handover}]
    env: [{name: SCALEOUT_HANDOVER}]
    vars: [{name: push_metrics_handover}]
  handover_timeout:
    description: Seconds that the hand-over may take altogether.
    type: float
    default: 5
    ini: [{section: push_metrics, key: handover_timeout}]
    env: [{name: SCALEOUT_HANDOVER_TIMEOUT}]
    vars: [{name: push_metrics_handover_timeout}]
  handover_ca_file:
    description: A file of PEM with those who may have signed the certificate of AWX or of the webhook.
    type: str
    default: ''
    ini: [{section: push_metrics, key: handover_ca_file}]
    env: [{name: SCALEOUT_HANDOVER_CA_FILE}]
    vars: [{name: push_metrics_handover_ca_file}]
  playbook:
    description:
      - The scaling playbook. V(local) starts it.
      - A run of a playbook of this name hands nothing over, and neither does one that a hand-over has started. So the
        scaling playbook never starts itself again.
    type: str
    default: scaleout.platform.autoscale
    ini: [{section: push_metrics, key: playbook}]
    env: [{name: SCALEOUT_PLAYBOOK}]
    vars: [{name: push_metrics_playbook}]
  log_path:
    description: Where V(local) lets the playbook write to, with mode 0600. A log of more than 10 MB is begun again.
    type: str
    default: ~/.ansible/scaleout-autoscale.log
    ini: [{section: push_metrics, key: log_path}]
    env: [{name: SCALEOUT_LOG_PATH}]
    vars: [{name: push_metrics_log_path}]
  awx_url:
    description: Where the API of AWX begins, such as V(https://awx.example.com/api/v2).
    type: str
    default: ''
    ini: [{section: push_metrics, key: awx_url}]
    env: [{name: SCALEOUT_AWX_URL}]
    vars: [{name: push_metrics_awx_url}]
  awx_template:
    description: The id of the job template, or its name and organization as V(Autoscale++Default).
    type: str
    default: ''
    ini: [{section: push_metrics, key: awx_template}]
    env: [{name: SCALEOUT_AWX_TEMPLATE}]
    vars: [{name: push_metrics_awx_template}]
  awx_token:
    description: The token of a user who may execute this template, and nothing else.
    type: str
    default: ''
    env: [{name: SCALEOUT_AWX_TOKEN}]
    vars: [{name: push_metrics_awx_token}]
  webhook_url:
    description: Where the event is posted to.
    type: str
    default: ''
    ini: [{section: push_metrics, key: webhook_url}]
    env: [{name: SCALEOUT_WEBHOOK_URL}]
    vars: [{name: push_metrics_webhook_url}]
  webhook_secret:
    description: What the event is signed with. Who receives it has the same secret.
    type: str
    default: ''
    env: [{name: SCALEOUT_WEBHOOK_SECRET}]
    vars: [{name: push_metrics_webhook_secret}]
"""

EXAMPLES = r"""
# ansible.cfg; the password is in the environment as SCALEOUT_STORE_PASSWORD
# [defaults]
# callbacks_enabled = scaleout.platform.push_metrics
# [push_metrics]
# store_host = 192.0.2.41
# handover = local
"""

import contextlib
import functools
import os
import secrets
import time
import typing as t

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.plugin_utils import (
    hand_over,
    metric_codec,
    metric_store,
    sink_awx,
    sink_local,
    sink_webhook,
)
from ansible_collections.scaleout.platform.plugins.plugin_utils.deadline import check, within
from ansible_collections.scaleout.platform.plugins.plugin_utils.run_log import RunLog, task_of

#: The key of a result that holds a sample.
FIELD = "sample"
#: Samples of one playbook. Those beyond are counted and not kept.
MOST_SAMPLES = 10_000
_SINKS = {"awx": sink_awx, "webhook": sink_webhook, "local": sink_local}
_VARIABLE = "push_metrics_"


def guarded(hook: t.Callable) -> t.Callable:
    """Let nothing that happens in a hook reach the run, and add up what hooks take."""

    @functools.wraps(hook)
    def run(self: CallbackModule, *arguments: t.Any, **named: t.Any) -> None:
        began = time.perf_counter()
        try:
            hook(self, *arguments, **named)
        except ScaleoutError as error:
            self._warn(error.coded)
        except Exception as error:
            # Its text may repeat anything, such as a secret in a variable.
            self._warn(f"[failed] {hook.__name__} met a {type(error).__name__}.")
        finally:
            self._spent += time.perf_counter() - began

    return run


class CallbackModule(CallbackBase):
    """Gathers, pushes and hands over; prints nothing but a warning, and a line with ``-v``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "scaleout.platform.push_metrics"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: t.Any, **named: t.Any) -> None:
        super().__init__(*arguments, **named)
        self._spent = 0.0
        self._warned = False
        #: The store, or whom we hand over to, has failed; it is not asked twice in a run.
        self._lost = False
        self._play: t.Any = None
        self._begin("")

    def _begin(self, playbook: str) -> None:
        self._playbook = playbook
        self._log = RunLog(secrets.token_hex(16), os.path.basename(playbook), time.time())
        self._samples: list[metric_codec.Document] = []
        self._refused = 0
        self._dropped = 0
        self._host: t.Any = None
        self._task: tuple[t.Any, t.Any] = (None, None)

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            with contextlib.suppress(Exception):
                self._display.warning(f"push_metrics: {text}")

    # What happens while the playbook runs

    @guarded
    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._begin(str(getattr(playbook, "_file_name", "") or ""))

    @guarded
    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        self._play = play

    @guarded
    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        if self._task[0] != task._uuid:
            written = task.get_ds() if hasattr(task, "get_ds") else None
            self._task = (task._uuid, task_of(task.get_path(), task.action, written, task.no_log))
        self._log.begins(host.get_name(), self._task[1], time.monotonic())

    @guarded
    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._log.ends(result.host.get_name(), time.monotonic())
        self._gather(result, _data(result))

    @guarded
    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        data = _data(result)
        hidden = "censored" in data or result.task.no_log not in (None, False)
        kind = "ignored" if ignore_errors else "failed"
        self._log.ends(result.host.get_name(), time.monotonic(), kind, data.get("code"), hidden)
        # What was measured was measured, and a loop that failed at one item has the samples of the others.
        self._gather(result, data)

    @guarded
    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._log.ends(result.host.get_name(), time.monotonic(), "unreachable", "unreachable")

    def _gather(self, result: t.Any, data: t.Mapping[str, t.Any]) -> None:
        """Keep the samples of a result; a loop's are in the results of its items. With ``no_log`` core left none."""
        items = data.get("results")
        for one in (data, *(items if isinstance(items, list) else ())):
            if not isinstance(one, dict) or FIELD not in one or one.get("_ansible_no_log"):
                continue
            self._host = self._host or result.host
            if len(self._samples) >= MOST_SAMPLES:
                self._dropped += 1
                continue
            try:
                self._samples.append(metric_codec.sample(one[FIELD]))
            except metric_codec.Garbage:
                self._refused += 1

    # What happens at its end

    @guarded
    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        began = time.perf_counter()
        try:
            self._push(len(stats.processed))
        finally:
            spent = self._spent + time.perf_counter() - began
            self._display.v(f"push_metrics: {spent:.3f} s in hooks, {len(self._samples)} samples")
            self._samples = []

    def _push(self, hosts: int) -> None:
        if self._lost or context.CLIARGS.get("check"):
            return
        self._settle()
        # Less than it may take altogether, since what a socket waits for says more.
        settings = metric_store.configure(self.get_option, 0.9)
        if settings is None:
            self._warn("[invalid_input] store_host is not set, so nothing is pushed.")
            return
        self._lost = True
        run = self._log.report(time.time(), hosts)
        run["hook_seconds"] = round(self._spent, 4)
        metric_store.load_library()
        what = f"The push to the metric store at {settings.host}:{settings.port}"
        within(self.get_option("store_timeout"), what, lambda: self._write(settings, run))
        self._hand_over(run["run"])
        self._lost = False
        if self._refused or self._dropped:
            self._warn(
                f"[bad_sample] {self._refused} results held something else than a sample as their {FIELD}, and "
                f"{self._dropped} samples were more than {MOST_SAMPLES}. They are not in the store."
            )

    def _write(self, settings: metric_store.Settings, run: t.Mapping[str, t.Any]) -> None:
        with contextlib.closing(metric_store.Store(settings)) as store:
            store.push(self._samples, run)

    def _hand_over(self, run: str) -> None:
        kind, playbook = self.get_option("handover"), self.get_option("playbook")
        if kind == "none" or not self._samples:
            return
        extra = self._play.get_variable_manager().extra_vars
        reason = hand_over.reason_against(os.environ, extra, self._playbook, playbook)
        if reason:
            self._display.v(f"push_metrics: nothing is handed over, as {reason}")
            return
        sink, options = _SINKS[kind], self._handover_options()
        check("handover_timeout", options.timeout)
        sink.check(options)
        services = [document["service"] for document in self._samples]
        event = hand_over.Event.of(run, time.time(), services, len(self._samples))
        told = within(options.timeout, f"The hand-over ({kind})", lambda: sink.send(event, options))
        self._display.v(f"push_metrics: handed over {told}")

    def _handover_options(self) -> hand_over.Options:
        vaults = (*(context.CLIARGS.get("vault_ids") or ()), *(context.CLIARGS.get("vault_password_files") or ()))
        return hand_over.Options(
            playbook=self.get_option("playbook"),
            timeout=self.get_option("handover_timeout"),
            ca_file=self._path("handover_ca_file"),
            awx_url=self.get_option("awx_url"),
            awx_template=self.get_option("awx_template"),
            awx_token=self.get_option("awx_token"),
            webhook_url=self.get_option("webhook_url"),
            webhook_secret=self.get_option("webhook_secret"),
            log_path=self.get_option("log_path"),
            inventories=tuple(context.CLIARGS.get("inventory") or ()),
            vault_ids=tuple(vault for vault in vaults if not vault.endswith("prompt")),
        )

    def _path(self, option: str) -> str:
        return os.path.expanduser(self.get_option(option))

    def _settle(self) -> None:
        """Read the options again, with variables: a callback is given none when it is loaded."""
        if self._play is None:
            return
        manager = self._play.get_variable_manager()
        known = manager.get_vars(play=self._play, host=self._host)
        ours = {name: value for name, value in known.items() if name.startswith(_VARIABLE)}
        if ours:
            templar = Templar(loader=self._play.get_loader(), variables=known)
            values = {name: templar.template(value) for name, value in ours.items()}
            try:
                self.set_options(var_options={name: metric_codec.plain(value) for name, value in values.items()})
            except (AnsibleError, metric_codec.Garbage):
                # Its text repeats the value, which may be a password in the wrong place.
                names = ", ".join(sorted(ours))
                raise InvalidInput("push_metrics", names, "has a value that cannot be; nothing is pushed") from None


def _data(result: t.Any) -> t.Mapping[str, t.Any]:
    """Return a result, censored where ``no_log`` says so.

    Its public form is a copy of all of it in plain types. Cores before 2.21 have it without that copy as well, as what
    they made for this callback; what is taken out of it is made plain here.
    """
    data = getattr(result, "_return_data", None)
    return data if isinstance(data, dict) else result.result
