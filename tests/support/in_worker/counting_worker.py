"""An RQ worker that notes each stop signal it hears."""

import os

from rq import Worker


class CountingWorker(Worker):
    def _note(self, signum):
        with open(os.environ["SIGNALS_HEARD"], "a", encoding="utf-8") as file:
            file.write(f"{signum}\n")

    def request_stop(self, signum, frame):
        self._note(signum)
        super().request_stop(signum, frame)

    def request_force_stop(self, signum, frame):
        self._note(signum)
        super().request_force_stop(signum, frame)
