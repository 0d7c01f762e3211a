"""The monitor in a browser on this machine: textual-serve on loopback, loading nothing from elsewhere."""

from __future__ import annotations

import shlex
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from supernet_cli.errors import UsageError

if TYPE_CHECKING:
    from aiohttp import web

HOST = "127.0.0.1"
_TEMPLATES = Path(__file__).resolve().parent / "templates"


def command_line(runs_dir: Path, run: Path | None, ascii_only: bool) -> str:
    """Return the command that the server runs for each browser, quoted for the shell."""
    words = [sys.executable, "-m", "supernet_cli", "tui", "--runs-dir", str(runs_dir.absolute())]
    if run is not None:
        words += ["--run", str(run.absolute())]
    if ascii_only:
        words.append("--ascii")
    return shlex.join(words)


def serve(runs_dir: Path, run: Path | None, ascii_only: bool, port: int) -> None:
    """Serve the monitor until Ctrl-C.

    There is no password: it listens on loopback only, and rejects requests from pages of other sites.

    Args:
        runs_dir: Where runs live.
        run: The run to show; None for the list of runs.
        ascii_only: Draw with ASCII only.
        port: The port.

    Raises:
        UsageError: textual-serve is not installed, or the port is taken.
    """
    _check_port(port)
    server = make_server(command_line(runs_dir, run, ascii_only), port)
    print(f"The monitor is at {server.public_url}, for this machine only. Stop it with Ctrl-C.", file=sys.stderr)
    server.serve()


def make_server(command: str, port: int) -> Any:
    """Return the server.

    Raises:
        UsageError: textual-serve is not installed.
    """
    try:
        from aiohttp import web
        from textual_serve.server import Server
    except ImportError as error:
        raise UsageError(
            "--web needs the package textual-serve.", 'Install it: pip install "supernet-cli[web]"'
        ) from error

    async def own_pages_only(request: web.Request, handler: Any) -> web.StreamResponse:
        if not is_own(request.headers.get("Host", ""), request.headers.get("Origin"), port):
            raise web.HTTPForbidden(text="This monitor only answers requests from its own pages.")
        response: web.StreamResponse = await handler(request)
        return response

    class LoopbackServer(Server):  # type: ignore[misc, unused-ignore]
        """The server, quieter and stricter."""

        def initialize_logging(self) -> None:
            """Leave logging as it is."""

        async def on_startup(self, app: web.Application) -> None:
            """Print nothing: `serve` has printed the address."""

        async def _make_app(self) -> web.Application:
            app = await super()._make_app()
            app.middlewares.append(web.middleware(own_pages_only))
            return app

    return LoopbackServer(
        command, host=HOST, port=port, title="supernet", public_url=f"http://{HOST}:{port}", templates_path=_TEMPLATES
    )


def is_own(host: str, origin: str | None, port: int) -> bool:
    """Whether a request comes from a page of this server; any other open site could press keys here."""
    own = {f"{HOST}:{port}", f"localhost:{port}"} | ({HOST, "localhost"} if port == 80 else set())
    return host in own and (origin is None or urlsplit(origin).netloc in own)


def _check_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(f"Port {port} cannot be used: {error.strerror}.", f"Try --port {port + 1}.") from error
