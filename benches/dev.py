#!/usr/bin/env python3
"""Measures `isobar dev` next to `cargo build` and `cargo lambda watch`, and `isobar new`. Let nothing else run.

    python3 -m venv V && V/bin/pip install --no-deps cargo-lambda && V/bin/python benches/dev.py target/debug/isobar
"""
import os, pathlib, shutil, signal, statistics, subprocess, sys, tempfile, time, urllib.request

ROUNDS = 15
ROOT = pathlib.Path(__file__).resolve().parent.parent
ISOBAR = pathlib.Path(sys.argv[1]).resolve()
LAMBDA = pathlib.Path(sys.executable).parent / "cargo-lambda"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "peers" / "dev"
WORK = pathlib.Path(tempfile.mkdtemp())


def env(name):
    return {**os.environ, "CARGO_TARGET_DIR": str(TARGET / name), "CARGO_NET_OFFLINE": "true"}


def run(name, folder, *command):
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env(name), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def serve(name, folder, *command):
    log = open(WORK / f"{name}.log", "w")
    return subprocess.Popen(command, cwd=folder, env=env(name), stdout=log, stderr=log, start_new_session=True)


def answers(url, text):
    """The time until the answer is this text."""
    start = time.perf_counter()
    while time.perf_counter() - start < 150:
        try:
            with urllib.request.urlopen(url, timeout=1) as response:
                if response.read().decode() == text:
                    return time.perf_counter() - start
        except OSError:
            pass
        time.sleep(0.005)
    sys.exit(f"{url} does not answer `{text}`: {WORK}")


def new(name):
    project = WORK / name
    took = run(name, WORK, ISOBAR, "new", name, "--isobar-path", ROOT)
    shutil.copy(ROOT / "Cargo.lock", project)
    return project, took


def save(file, number):
    text = file.read_text()
    start = text.index('"Hello, ')
    end = text.index('"', start + 1) + 1
    file.write_text(text[:start] + f'"Hello, {number}!"' + text[end:])


def row(what, times, goal=""):
    print(f"| {what} | {statistics.median(times):.3f} s | {min(times):.3f} to {max(times):.3f} s | {goal} |", flush=True)


def reload():
    (app, _), (alone, _) = new("dev"), new("alone")
    peer = WORK / "lambda-http"
    shutil.copytree(ROOT / "benches/peers/lambda-http", peer, ignore=shutil.ignore_patterns("target"))
    for name, folder in (("dev", app), ("alone", alone), ("lambda", peer)):
        run(name, folder, "cargo", "build")
    dev_url, lambda_url = "http://127.0.0.1:3900/", "http://127.0.0.1:9900/lambda-url/lambda-http/"
    watching = [serve("dev", app, ISOBAR, "dev", "--port", "3900")]
    watching.append(serve("lambda", peer, LAMBDA, "lambda", "watch", "-A", "127.0.0.1", "-P", "9900"))
    answers(dev_url, "Hello, world!"), answers(lambda_url, "Hello, world!")
    times = {"dev": [], "alone": [], "lambda": []}
    for number in range(ROUNDS):
        save(app / "src/lib.rs", number)
        times["dev"].append(answers(dev_url, f"Hello, {number}!"))
        save(alone / "src/lib.rs", number)
        times["alone"].append(run("alone", alone, "cargo", "build"))
        save(peer / "src/main.rs", number)
        times["lambda"].append(answers(lambda_url, f"Hello, {number}!"))
    for process in watching:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
    row("a changed line to the new answer, `isobar dev`", times["dev"])
    row("the same change, `cargo build` alone", times["alone"])
    row("the same change, `cargo lambda watch`", times["lambda"])
    print(f"isobar dev / cargo build: {statistics.median(times['dev']) / statistics.median(times['alone']):.2f}")


def first():
    row("`isobar new`", [new(f"new{number}")[1] for number in range(ROUNDS)], "< 0.2 s")
    shutil.rmtree(TARGET / "first", ignore_errors=True)
    start = time.perf_counter()
    project, _ = new("first")
    dev = serve("first", project, ISOBAR, "dev", "--port", "3901")
    answers("http://127.0.0.1:3901/", "Hello, world!")
    row("`isobar new` to the first answer, cold target", [time.perf_counter() - start], "≤ 60 s")
    os.killpg(dev.pid, signal.SIGINT)
    dev.wait()


reload()
first()
shutil.rmtree(WORK)
