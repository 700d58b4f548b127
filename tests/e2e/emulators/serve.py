"""Runs one emulator on a free port of the loopback, and ends with the process that started it.

    serve.py NAME

Prints the port, alone on a line. The output of the emulator goes to standard error.
The test process holds standard input open; when it closes, for whatever reason, this
process and all processes that it started end.
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
        # An atomic step of AWS is several steps in moto, and its threads race.
        with one_at_a_time:
            return served(environ, start_response)

    server = make_server(host, port, app, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno())
    server.serve_forever()


def ministack(listener):
    import asyncio

    port = listener.getsockname()[1]
    # ministack reads these when its module is loaded.
    os.environ.update(
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        # Further listeners, on fixed ports.
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
    # The group is this process and its children: see `main`.
    os.killpg(0, signal.SIGKILL)


def main():
    run = {"moto": moto, "ministack": ministack}[sys.argv[1]]
    os.setpgid(0, 0)
    threading.Thread(target=end_with_the_test, daemon=True).start()
    # The socket is bound here and handed on, so that no other process can bind the port in between.
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    listener.set_inheritable(True)
    print(listener.getsockname()[1], flush=True)
    os.dup2(2, 1)
    run(listener)


main()
