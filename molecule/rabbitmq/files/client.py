# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Do as an application does: log in, declare a quorum queue, publish with confirms, consume. Print what became of it.

Standard input is a list of {host, user, password, vhost, expected}; the answers are "consumed <body>" or the
error's name.
"""

from __future__ import annotations

import json
import sys

import pika


def use(host: str, user: str, password: str, vhost: str, **_expected: str) -> str:
    """Send one message through a quorum queue and return what came out."""
    credentials = pika.PlainCredentials(user, password)
    with pika.BlockingConnection(pika.ConnectionParameters(host, 5672, vhost, credentials)) as connection:
        channel = connection.channel()
        channel.queue_declare("probe", durable=True, arguments={"x-queue-type": "quorum"})
        channel.confirm_delivery()
        # Raises unless the broker has it.
        channel.basic_publish("", "probe", user.encode(), pika.BasicProperties(delivery_mode=2), mandatory=True)
        method, _properties, body = next(channel.consume("probe", inactivity_timeout=10))
        channel.basic_ack(method.delivery_tag)
        return f"consumed {body.decode()}"


def main() -> None:
    """Try each and print all answers as one JSON list."""
    answers = []
    for attempt in json.load(sys.stdin):
        try:
            answers.append(use(**attempt))
        except (pika.exceptions.AMQPError, OSError) as error:
            answers.append(type(error).__name__)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
