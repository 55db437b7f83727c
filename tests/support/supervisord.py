"""A real supervisord, for comparing."""

import os
import subprocess

from support.eventually import eventually
from support.rig import environment

HOME = os.environ.get("MUSTER_TEST_SUPERVISOR")  # a venv with supervisord


class Supervisord:
    def __init__(self, folder, programs):
        folder.mkdir()
        self.socket = folder / "s.sock"
        self.file = folder / "s.conf"
        self.file.write_text(f"""\
[supervisord]
logfile={folder}/main.log
pidfile={folder}/pid
childlogdir={folder}
[unix_http_server]
file={self.socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
{programs}""")
        self.process = subprocess.Popen([f"{HOME}/bin/supervisord", "-n", "-c", self.file], env=environment(folder),
                                        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(15, self.socket.exists)

    def end(self):
        self.process.terminate()
        self.process.wait(20)
