"""An nginx as one of several origins: it says its name, and its log says what it was asked and how."""

import os
import pwd

from .place import free_port, tool
from .process import Process, connects, wait_until

CONFIG = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    log_format asked '$request_method $uri $ssl_session_reused $ssl_server_name $proxy_protocol_addr $connection';
    access_log {directory}/asked asked;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 100000;
    default_type text/plain;
    server {{
        listen {address}:{port}{options};
        {more}
        location / {{ return 200 '{name}'; }}
    }}
}}
"""


class AppOrigin:
    """`certificate` and `key`: it speaks TLS. `options`: more of nginx's `listen`. `more`: more of its server."""

    def __init__(self, directory, name, address, port=None, certificate=None, key=None, options="", more=""):
        self.directory, self.name, self.address = os.path.join(directory, name), name, address
        self.port = port or free_port(address)
        self.scheme = "https" if certificate else "http"
        os.makedirs(self.directory, exist_ok=True)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
        if certificate:
            options += " ssl"
            more += f" ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_session_cache shared:s:1m;"
        self.config = os.path.join(self.directory, "nginx.conf")
        with open(self.config, "w") as file:
            file.write(CONFIG.format(directory=self.directory, name=name, address=address, port=self.port,
                                     options=options, more=more,
                                     user="user nobody nogroup;" if os.geteuid() == 0 else ""))
        self.process = None

    @property
    def url(self):
        return f"{self.scheme}://{self.address}:{self.port}"

    def start(self):
        argv = [tool("nginx"), "-c", self.config, "-p", self.directory, "-e", "stderr"]
        self.process = Process(f"nginx {self.name}", argv, os.path.join(self.directory, "log"))
        self.process.wait_ready(lambda: connects(self.address, self.port))
        return self

    def asked(self, path=None):
        """(method, path, reused, server name, client by PROXY protocol, connection) of each request that it answered;
        nginx writes a line when the answer is out, so look with wait_asked for what has just been answered."""
        try:
            with open(os.path.join(self.directory, "asked")) as file:
                lines = [tuple(line.rstrip("\n").split(" ")) for line in file]
        except FileNotFoundError:
            return []
        return [line for line in lines if path in (None, line[1])]

    def wait_asked(self, count, path=None, seconds=15):
        return wait_until(lambda: len(self.asked(path)) >= count and self.asked(path), seconds,
                          f"{self.name} to be asked {count} times")

    def kill(self):
        self.process.kill()

    def stop(self):
        if self.process:
            self.process.stop(5)
