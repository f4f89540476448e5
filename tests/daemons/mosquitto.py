# SPDX-License-Identifier: MIT OR Apache-2.0
"""mosquitto, started as root, which drops to the user of its configuration."""

import harness

# MQTT 3.1.1: CONNECT with a clean session, no identifier, 60 s keep-alive; CONNACK, accepted.
CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
CONNACK = b"\x20\x02\x00\x00"


def started_as(*options):
    def daemon(work):
        program = harness.require_program("mosquitto")
        config, address = work / "config", work / "mqtt"
        config.write_text(
            f"listener 0 {address}\nallow_anonymous true\npersistence false\nuser nobody\n"
            f"pid_file {work}/pid\nlog_dest file {work}/log\n"
        )
        return harness.Daemon(
            [program, "-c", str(config), *options],
            ready=harness.listening(address),
            request=harness.answers(address, CONNECT, CONNACK),
        )

    return daemon


ROWS = harness.dropping_root(started_as)

if __name__ == "__main__":
    harness.main(ROWS)
