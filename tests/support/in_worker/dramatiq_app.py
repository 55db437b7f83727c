"""Actors that real Dramatiq workers run in the tests."""

import os

import dramatiq
import job_functions
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["BROKER"]))
until = dramatiq.actor(actor_name="until", queue_name="jobs")(job_functions.until)
