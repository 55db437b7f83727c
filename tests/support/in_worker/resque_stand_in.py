"""Does to Redis what a Resque worker does at its start, during a job and at its end. Resque itself comes only as a gem.

resque_stand_in.py PORT QUEUE
"""

import datetime
import json
import os
import signal
import socket
import sys
import time

import job_functions
import redis

port, queue = int(sys.argv[1]), sys.argv[2]
client = redis.Redis(port=port, decode_responses=True)
me = f"{socket.gethostname()}:{os.getpid()}:{queue}"
stopping = []
signal.signal(signal.SIGQUIT, lambda *_: stopping.append(True))


def now():
    return datetime.datetime.fromtimestamp(client.time()[0], datetime.timezone.utc)


def unregister(worker):
    client.srem("resque:workers", worker)
    client.delete(f"resque:worker:{worker}", f"resque:worker:{worker}:started")
    client.hdel("resque:workers:heartbeat", worker)


def prune():
    """Once a minute, by whoever starts: a worker whose last heartbeat is 300 s old is dead, and its job has failed."""
    if not client.set("resque:pruning_dead_workers_in_progress", me, nx=True, ex=60):
        return
    for worker, text in client.hgetall("resque:workers:heartbeat").items():
        beat = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        if (now() - beat).total_seconds() <= 300:
            continue
        work = client.get(f"resque:worker:{worker}")
        if work:
            client.rpush("resque:failed", json.dumps({**json.loads(work), "worker": worker}))
        unregister(worker)


client.sadd("resque:workers", me)
client.set(f"resque:worker:{me}:started", time.strftime("%Y-%m-%d %H:%M:%S %z"))
client.hset("resque:workers:heartbeat", me, now().isoformat())
prune()
while not stopping:
    text = client.lpop(f"resque:queue:{queue}")
    if not text:
        time.sleep(0.05)
        continue
    payload = json.loads(text)
    client.set(f"resque:worker:{me}", json.dumps({"queue": queue, "payload": payload}))
    job_functions.until(*payload["args"])
    client.delete(f"resque:worker:{me}")
unregister(me)
