"""A worker as people write them themselves: says in a set and a hash that it lives.

home_made.py PORT NAME
"""

import os
import signal
import sys

import redis

port, name = int(sys.argv[1]), sys.argv[2]
client = redis.Redis(port=port)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
client.sadd("crew", name)
client.hset(f"crew:{name}", mapping={"pid": os.getpid(), "job": "none"})
signal.sigwait([signal.SIGTERM])
client.srem("crew", name)
client.delete(f"crew:{name}")
