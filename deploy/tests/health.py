"""Queries a server's gRPC health as Kubernetes' probes do, with curl: one message each way.

    POST /grpc.health.v1.Health/Check   <- 0, length (4 bytes), HealthCheckRequest { service = 1: string }
                                        -> 0, length (4 bytes), HealthCheckResponse { status = 1: enum }, or a gRPC status
"""

import shutil
import subprocess
import time

STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def is_at_hand():
    """Whether there is a curl that speaks HTTP/2."""
    curl = shutil.which("curl")
    return bool(curl) and "HTTP2" in subprocess.run([curl, "--version"], capture_output=True, text=True).stdout


def ask(port, service):
    """SERVING or NOT_SERVING; otherwise the error."""
    name = service.encode()
    message = bytes([0x0A, len(name)]) + name if name else b""
    command = [
        "curl", "--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "5", "--dump-header", "/dev/stderr",
        "--header", "content-type: application/grpc", "--header", "te: trailers", "--data-binary", "@-",
        f"http://127.0.0.1:{port}/grpc.health.v1.Health/Check",
    ]
    done = subprocess.run(command, input=b"\0" + len(message).to_bytes(4, "big") + message, capture_output=True)
    answer = done.stdout[5:]
    if done.returncode != 0 or b"grpc-status: 0" not in done.stderr:
        told = [line for line in done.stderr.decode(errors="replace").splitlines() if line.startswith(("grpc-", "curl"))]
        return ", ".join(told) or f"curl ended with {done.returncode}"
    # The default of an enum, 0, is not encoded.
    return STATUS.get(answer[1] if len(answer) > 1 else 0, "a status that nobody knows")


def ask_until(port, service, seconds_max):
    """Returns SERVING as soon as it is the answer, else the last answer before the timeout, like a probe with a threshold."""
    end = time.monotonic() + min(seconds_max, 20)
    while True:
        answer = ask(port, service)
        # 12 is UNIMPLEMENTED: waiting does not change that.
        if answer == "SERVING" or "grpc-status: 12" in answer or time.monotonic() > end:
            return answer
        time.sleep(0.2)
