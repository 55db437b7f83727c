"""Tasks that real Celery workers run in the tests."""

import os

import job_functions
from celery import Celery

app = Celery(broker=os.environ["BROKER"])
app.conf.update(task_default_queue="jobs", task_acks_late=True, worker_prefetch_multiplier=1,
                broker_connection_retry_on_startup=True, task_ignore_result=True)
until = app.task(name="until")(job_functions.until)
