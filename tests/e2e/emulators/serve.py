"""Runs one emulator on a free port of the loopback, and ends with the process that started it.

    serve.py NAME

Prints the port, alone on a line. What the emulator prints goes where standard error goes.
Standard input is held open by the test process; when it closes, for whatever reason, this
process and all that it started are ended.
"""

import os
import signal
import socket
import sys
import threading


def moto(listener):
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    host, port = listener.getsockname()
    os.environ["MOTO_PORT"] = str(port)
    served = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def app(environ, start_response):
        # What is one step on AWS is several in moto, and its threads race.
        with one_at_a_time:
            return served(environ, start_response)

    server = make_server(host, port, app, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno())
    server.serve_forever()


def ministack(listener):
    import asyncio

    port = listener.getsockname()[1]
    # Read when the module is loaded.
    os.environ.update(
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        # Listeners of its own, on fixed ports.
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
    )
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    asyncio.run(serve(app, config))


def end_with_the_test():
    while sys.stdin.buffer.read(4096):
        pass
    # The group is this process and what it started: see `main`.
    os.killpg(0, signal.SIGKILL)


def main():
    run = {"moto": moto, "ministack": ministack}[sys.argv[1]]
    os.setpgid(0, 0)
    threading.Thread(target=end_with_the_test, daemon=True).start()
    # A port that is bound here and handed on cannot be taken by another process in between.
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    listener.set_inheritable(True)
    print(listener.getsockname()[1], flush=True)
    os.dup2(2, 1)
    run(listener)


main()
