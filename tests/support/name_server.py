"""A name server of our own on a loopback address: it knows the names that it is told, and refuses others."""

import socket
import struct
import threading


class NameServer:
    def __init__(self, names, address="127.0.53.7"):
        self.names = {name.lower(): host for name, host in names.items()}
        self.address = address
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                query, sender = self.socket.recvfrom(512)
            except OSError:
                return  # closed
            if len(query) < 12:
                return
            self.socket.sendto(self._answer(query), sender)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        self.asked.append(name)
        host = self.names.get(name)
        found = host is not None and kind == 1  # an A; there are no others of that name
        flags = 0x8180 if host is not None else 0x8183
        answer = query[:2] + struct.pack("!HHHHH", flags, 1, int(found), 0, 0) + query[12:at + 5]
        if found:
            answer += struct.pack("!HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(host)
        return answer

    def stop(self):
        self.socket.sendto(b"", (self.address, 53))
        self.thread.join(5)
        self.socket.close()
