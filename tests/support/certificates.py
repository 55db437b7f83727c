"""Certificates of our own for tests, made by the openssl command: authorities, servers, clients."""

import subprocess


def _openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.name = name
        self.file = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-nodes", "-days", "2", "-subj", f"/CN=test {name}", "-keyout", str(self.key),
                 "-out", str(self.file))

    def certificate(self, name, *alternatives, expired=False):
        """(certificate, key): for the names and addresses given as DNS:… and IP:…"""
        request = self.folder / f"{name}.csr"
        certificate = self.folder / f"{name}.pem"
        key = self.folder / f"{name}.key"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text("subjectAltName=" + ",".join(alternatives) if alternatives else "")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        if expired:  # x509 makes none: OpenSSL 3.4 refuses an end before the start, 3.0 knows no -not_before
            words = ["ca", "-batch", "-notext", "-create_serial", "-config", str(self._register()),
                     "-outdir", str(self.folder), "-startdate", "20200101000000Z", "-enddate", "20200102000000Z",
                     "-cert", str(self.file), "-keyfile", str(self.key)]
        else:
            words = ["x509", "-req", "-CA", str(self.file), "-CAkey", str(self.key), "-CAcreateserial", "-days", "2"]
        words += ["-in", str(request), "-out", str(certificate)]
        if alternatives:
            words += ["-extfile", str(extensions)]
        _openssl(*words)
        return certificate, key

    def _register(self):
        """What `openssl ca` wants to have beside the authority."""
        register = self.folder / f"{self.name}.index"
        register.touch()
        config = self.folder / f"{self.name}.cnf"
        config.write_text("[ca]\ndefault_ca = us\n[us]\n"
                          f"database = {register}\nserial = {register}.serial\ndefault_md = sha256\npolicy = any\n"
                          "[any]\ncommonName = supplied\n")
        return config
