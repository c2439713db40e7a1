"""Ask for the same few pages without end, 24 at a time, in a process of its own: `python -m tests.api.live.flood`.

In the process that measures how long a stop takes, they would take that one's turns. Each status is said once.
"""

import sys
import threading

import httpx

AT_A_TIME = 24


def main(url: str, token: str, *paths: str) -> None:
    said: set[int] = set()
    lock = threading.Lock()

    def ask(n: int) -> None:
        with httpx.Client(base_url=url, timeout=60.0, headers={"Authorization": f"Bearer {token}"}) as client:
            while True:
                status = client.get(paths[n % len(paths)]).status_code
                with lock:
                    if status not in said:
                        said.add(status)
                        sys.stdout.write(f"{status}\n")
                        sys.stdout.flush()

    for n in range(AT_A_TIME):
        threading.Thread(target=ask, args=(n,), daemon=True).start()
    threading.Event().wait()  # until it is told to end


if __name__ == "__main__":
    main(*sys.argv[1:])
