"""Real servers in processes of their own, on free loopback ports, ended by their pid."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL = "127.0.0.1"
BIN = Path(sys.executable).parent
DEADLINE = 90.0
"""RabbitMQ takes 5 seconds to start alone, and many more beside other servers and tests."""

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not the one of /usr/sbin, which goes to the broker of the system."""
SOKETI_FOLDER = Path(__file__).parent / "services" / "pusher"
SOKETI = SOKETI_FOLDER / "node_modules" / "@soketi" / "soketi" / "bin" / "server.js"

INSTALLED = {
    "redis": (shutil.which("redis-server") is not None, "apt-get install redis-server"),
    "mongo": (find_spec("secantus") is not None, "pip install 'quorum[test]'"),
    "amqp": (RABBITMQ.exists(), "apt-get install rabbitmq-server"),
    "pusher": (
        SOKETI.exists(),
        "npm install --prefix tests/services/pusher --ignore-scripts --no-package-lock",
    ),
    "s3": (find_spec("moto") is not None, "pip install 'quorum[test]'"),
}
"""Whether what serves each noun is installed, and the line that installs it."""


def free_port() -> int:
    """Return a port that nobody listens on now, nor is given by the system while it is free."""
    while True:
        # Below the range from which Linux gives ports: a server that restarts finds it free.
        port = random.randint(20000, 32000)
        try:
            socket.create_server((LOCAL, port)).close()
        except OSError:
            continue
        return port


class ServerProcess:
    """A server that can be stopped, killed, paused and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> Sequence[str]:
        """The words that start it."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The URL that a driver takes."""
        raise NotImplementedError

    @property
    def environment(self) -> dict[str, str]:
        """What it finds in its environment beside ours."""
        return {}

    @property
    def log(self) -> Path:
        return self.folder / f"{type(self).__name__}.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                self.command, stdout=file, stderr=file, env=os.environ | self.environment
            )
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self._process.poll() is None:
            if self.answers():
                return
            time.sleep(0.02)
        text = self.log.read_text(errors="replace")
        raise AssertionError(f"{self.command[0]} does not serve:\n{text}")

    def answers(self) -> bool:
        """Tell whether it accepts connections."""
        try:
            socket.create_connection((LOCAL, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, by its pid."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it as an operator would, and wait for the end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, and wait for the end."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang: its port accepts, nothing answers; return once it does."""
        assert self._process is not None
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(DEADLINE)


class RedisServer(ServerProcess):
    """Redis, whose data survives a restart."""

    password: str | None = None

    @property
    def command(self) -> Sequence[str]:
        words = ["redis-server", "--port", str(self.port), "--bind", LOCAL, "--save", ""]
        words += ["--appendonly", "yes", "--dir", str(self.folder)]
        return [*words, "--requirepass", self.password] if self.password else words

    def answers(self) -> bool:
        """Tell whether it has read its data: until then it refuses every command."""
        try:
            with socket.create_connection((LOCAL, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' if self.password else ''}{LOCAL}:{self.port}/0"


class MongoServer(ServerProcess):
    """SecantusDB, which speaks MongoDB's wire protocol; its data survives a restart.

    It has neither hashed nor text indexes.
    """

    @property
    def command(self) -> Sequence[str]:
        data = self.folder / "secantus"
        words = [str(BIN / "secantusd-py"), "--host", LOCAL, "--port", str(self.port)]
        return [*words, "--storage-path", str(data), "--log-level", "WARNING"]

    def stop(self) -> None:
        """End it as an operator would, and at once if it does not hear: it may be deaf at first."""
        assert self._process is not None
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self.kill()

    @property
    def url(self) -> str:
        return f"mongodb://{LOCAL}:{self.port}"


class S3Server(ServerProcess):
    """Moto, which speaks S3; its data ends with it, and it checks no key."""

    @property
    def command(self) -> Sequence[str]:
        return [str(BIN / "moto_server"), "-H", LOCAL, "-p", str(self.port)]

    @property
    def url(self) -> str:
        return f"http://{LOCAL}:{self.port}"


class AmqpServer(ServerProcess):
    """RabbitMQ on a node of its own; what is durable survives a restart and a kill."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._epmd = free_port()
        self._between = free_port()
        for name in ("home", "mnesia", "log"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "enabled_plugins").write_text("[].")
        self.configuration.write_text(
            f"listeners.tcp.default = {LOCAL}:{self.port}\nloopback_users = none\n"
        )

    @property
    def configuration(self) -> Path:
        """Its rabbitmq.conf, read as it starts."""
        return self.folder / "rabbitmq.conf"

    @property
    def command(self) -> Sequence[str]:
        return [str(RABBITMQ)]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder / "home"),
            "RABBITMQ_NODENAME": f"quorum{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._between),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": LOCAL,
            # Its script then becomes the server, which signals are for.
            "RUNNING_UNDER_SYSTEMD": "yes",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.configuration),
        }

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{LOCAL}:{self.port}/"

    def control(self, *words: str) -> str:
        """Run rabbitmqctl on this node, and return what it prints."""
        command = [str(RABBITMQ.with_name("rabbitmqctl")), *words]
        environment = os.environ | self.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    def __exit__(self, *_: object) -> None:
        self.kill()
        # The daemon of the node's names stays behind.
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"ERL_EPMD_PORT={self._epmd}\0".encode() in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)


class PusherServer(ServerProcess):
    """Soketi, which speaks Pusher's protocol; it keeps nothing."""

    app_id, key, secret = "1001", "marker-key", "marker-secret"

    @property
    def command(self) -> Sequence[str]:
        application = {"id": self.app_id, "key": self.key, "secret": self.secret}
        application |= {"enabled": True, "enableClientMessages": True}
        settings = {
            "host": LOCAL,
            "port": self.port,
            "appManager.array.apps": [application],
            "metrics.enabled": False,
        }
        path = self.folder / "soketi.json"
        path.write_text(json.dumps(settings))
        return ["node", str(SOKETI), "start", f"--config={path}"]

    def stop(self) -> None:
        """End it at once: it may be deaf to SIGTERM for long."""
        self.kill()

    @property
    def url(self) -> str:
        return f"http://{LOCAL}:{self.port}"
