"""Run by the Python of an RQ version: enqueues one job and prints its id.

enqueue.py URL QUEUE RETRIES DELAY FUNCTION ARGUMENT…
"""

import datetime
import sys

import redis
from rq import Queue, Retry

url, queue_name, retries, delay, function, *arguments = sys.argv[1:]
queue = Queue(queue_name, connection=redis.Redis.from_url(url))
options = {"job_timeout": 600}
if int(retries):
    options["retry"] = Retry(max=int(retries))
if float(delay):
    job = queue.enqueue_in(datetime.timedelta(seconds=float(delay)), function, *arguments, **options)
else:
    job = queue.enqueue(function, *arguments, **options)
print(job.id)
