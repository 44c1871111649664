# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private RabbitMQ."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import subprocess
import typing as t

import aio_pika

from .ports import free_ports
from .waiting import until

# Not the command in /usr/sbin, which insists on the system's own user.
_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
#: What a new server has by itself; it accepts logins from this machine only.
USER = PASSWORD = "guest"


class RabbitMQ:
    def __init__(self, directory: pathlib.Path) -> None:
        self._home = directory / "rabbitmq"
        self.port, distribution = free_ports(2)
        self._variables = {
            **os.environ,
            "HOME": str(self._home),
            "RABBITMQ_NODENAME": f"tests{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self._home / "data"),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._home / "no"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """What a worker needs in its environment."""
        return {"AMQP_ADDRESS": f"127.0.0.1:{self.port}", "AMQP_USER": USER, "AMQP_PASSWORD": PASSWORD}

    def start(self) -> None:
        self._home.mkdir(exist_ok=True)
        (self._home / "plugins").write_text("[].\n")
        with (self._home / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [_SERVER], env=self._variables, stdout=out, stderr=out, start_new_session=True
            )
        until(self._answers, 60, "RabbitMQ answers")

    def stop(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It is there and answers nothing; its kernel still accepts connections."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            self.on_channel(_nothing)
        except (aio_pika.exceptions.AMQPError, OSError, EOFError, TimeoutError):
            return False
        return True

    def depth(self, queue: str) -> int:
        """How many messages are ready in a queue."""

        async def look(channel: t.Any) -> int:
            return int((await channel.declare_queue(queue, passive=True)).declaration_result.message_count)

        return self.on_channel(look)

    def publish(self, body: bytes, kind: str = "task.created", **properties: t.Any) -> None:
        """Publish to the exchange of the events."""

        async def send(channel: t.Any) -> None:
            exchange = await channel.get_exchange("events")
            await exchange.publish(aio_pika.Message(body, **properties), kind)

        self.on_channel(send)

    def take(self, queue: str) -> list[t.Any]:
        """Take every message out of a queue."""

        async def get(channel: t.Any) -> list[t.Any]:
            messages = []
            source = await channel.get_queue(queue)
            while (message := await source.get(fail=False, no_ack=True)) is not None:
                messages.append(message)
            return messages

        return self.on_channel(get)

    def on_channel(self, work: t.Callable[[t.Any], t.Awaitable[t.Any]]) -> t.Any:
        async def run() -> t.Any:
            async with asyncio.timeout(5):
                connection = await aio_pika.connect(
                    host="127.0.0.1", port=self.port, login=USER, password=PASSWORD, virtualhost="/"
                )
                async with connection:
                    return await work(await connection.channel())

        return asyncio.run(run())


async def _nothing(_channel: t.Any) -> None:
    pass
