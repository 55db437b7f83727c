"""An event listener: notes what it is told as JSON lines in FILE, and behaves as WAY says.

ok      accepts everything          reject  rejects each event once, then accepts it
dies    ends with its first event   deaf    never reads
chatty  says something that is not of the protocol
"""

import json
import os
import sys
import time

FILE, WAY = sys.argv[1:3]


def note(**what):
    with open(FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def main():
    note(pid=os.getpid(), environment={k: v for k, v in os.environ.items() if k.startswith("SUPERVISOR_")})
    rejected = set()
    say("hello\n" if WAY == "chatty" else "READY\n")
    while WAY == "deaf":
        time.sleep(60)
    while line := sys.stdin.buffer.readline():
        header = dict(word.split(":", 1) for word in line.decode().split())
        payload = sys.stdin.buffer.read(int(header["len"])).decode()
        note(line=line.decode(), header=header, payload=payload)
        if WAY == "dies" and not os.path.exists(FILE + ".died"):
            open(FILE + ".died", "w", encoding="utf-8").close()
            sys.exit(1)
        if WAY == "reject" and header["serial"] not in rejected:
            rejected.add(header["serial"])
            say("RESULT 4\nFAIL")
        else:
            say("RESULT 2\nOK")
        say("READY\n")


main()
