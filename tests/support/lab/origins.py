"""Apps of several makes that write down each request that they see. Each answers every path with the request line that
it saw in `X-Saw`, and gives `seen()`: (method, target, body) in the order of their ends, body None where unknown."""

import collections
import json
import os
import pwd
import socket
import threading

import h11

from .place import free_port, tool
from .process import Process, connects

Seen = collections.namedtuple("Seen", "method target body")

NGINX = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000;
    large_client_header_buffers 8 128k;
    log_format seen escape=json '{{"method":"$request_method","target":"$request_uri","body":"$request_body",'
        '"status":$status}}';
    server {{
        listen {address}:{port} reuseport;
        access_log {directory}/seen.log seen;
        underscores_in_headers on;
        ignore_invalid_headers off;
        location / {{
            proxy_pass http://unix:{directory}/inner.sock;
            proxy_set_header Connection "";
            proxy_set_header Host inner;
            add_header X-Saw "$request_method $request_uri" always;
        }}
    }}
    server {{
        listen unix:{directory}/inner.sock;
        access_log off;
        large_client_header_buffers 8 128k;
        location / {{ return 200 "seen\\n"; }}
    }}
}}
"""

APACHE = """\
ServerRoot {directory}
ServerName origin
Listen {address}:{port}
PidFile {directory}/apache.pid
DefaultRuntimeDir {directory}
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule lua_module {modules}/mod_lua.so
ErrorLog {directory}/error.log
LogLevel crit
LogFormat "{{\\"line\\":\\"%r\\",\\"status\\":%>s}}" seen
CustomLog {directory}/seen.log seen
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LimitRequestFields 0
LimitRequestLine 65536
LimitRequestFieldSize 65536
AllowEncodedSlashes NoDecode
<Directory />
    Require all granted
</Directory>
LuaScope thread
LuaHookTranslateName {directory}/seen.lua route
<Location />
    SetHandler none
</Location>
LuaMapHandler ^ {directory}/seen.lua
"""

APACHE_LUA = """\
function route(r)
    r.filename = r.document_root
    return apache2.OK
end

function handle(r)
    r:requestbody()
    r.headers_out["X-Saw"] = r.the_request:match("^(%S+ %S+)")
    r.content_type = "text/plain"
    r:puts("seen\\n")
    return apache2.OK
end
"""

NODE = """\
const fs = require('fs'), http = require('http');
const [address, port, log] = process.argv.slice(2);
const file = fs.openSync(log, 'a');
const server = http.createServer({maxHeaderSize: 131072, keepAliveTimeout: 60000}, (request, response) => {
  const body = [];
  request.on('data', piece => body.push(piece));
  request.on('error', () => {});
  request.on('end', () => {
    const seen = {method: request.method, target: request.url, body: Buffer.concat(body).toString('latin1')};
    fs.writeSync(file, JSON.stringify(seen) + '\\n');
    response.setHeader('X-Saw', request.method + ' ' + request.url);
    response.end('seen\\n');
  });
});
server.listen(Number(port), address);
"""


class Server:
    """A real server with a log of a JSON object a line."""

    def __init__(self, directory, address):
        self.directory, self.address, self.port = directory, address, free_port(address)
        os.makedirs(directory, exist_ok=True)
        self.log = os.path.join(directory, "seen.log")
        self.process = None

    def file(self, name, text, **values):
        path = os.path.join(self.directory, name)
        with open(path, "w") as out:
            out.write(text.format(directory=self.directory, address=self.address, port=self.port, **values)
                      if values else text)
        return path

    def launch(self, argv):
        self.process = Process(self.name, argv, os.path.join(self.directory, f"{self.name}.log"))
        self.process.wait_ready(lambda: connects(self.address, self.port))
        return self

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def entries(self):
        with open(self.log, errors="surrogateescape") as file:
            return [json.loads(line, strict=False) for line in file]

    def seen(self):
        return [Seen(one["method"], one["target"], one["body"].encode("latin-1", "replace"))
                for one in self.entries() if one["method"]]

    def stop(self):
        if self.process:
            self.process.stop(5)


class NginxOrigin(Server):
    name = "nginx"

    def start(self):
        user = ""
        if os.geteuid() == 0:
            user = "user nobody nogroup;"
            os.chown(self.directory, pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
        config = self.file("nginx.conf", NGINX, user=user)
        return self.launch([tool("nginx"), "-c", config, "-p", self.directory, "-e", "stderr"])


class ApacheOrigin(Server):
    name = "apache"

    def start(self):
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        self.file("seen.lua", APACHE_LUA)
        config = self.file("apache.conf", APACHE, user=user, modules="/usr/lib/apache2/modules")
        return self.launch([tool("apache2"), "-X", "-f", config])

    def seen(self):
        lines = [one["line"].split(" ") for one in self.entries()]
        return [Seen(line[0], line[1], None) for line in lines if len(line) > 1]


class NodeOrigin(Server):
    name = "node"

    def start(self):
        script = self.file("seen.js", NODE)
        return self.launch([tool("node"), script, self.address, str(self.port), self.log])


class Recorder:
    """Keeps every byte that the edge sends and reads it with h11, which refuses whatever is not to the letter."""

    name = "recorder"

    def __init__(self, address):
        self.address, self.port = address, free_port(address)
        self._seen, self.begun, self.errors, self._lock = [], [], [], threading.Lock()
        self.fields = {}
        self._listener = socket.create_server((address, self.port), backlog=256)

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def start(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def seen(self):
        with self._lock:
            return list(self._seen)

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        raw = bytearray()
        try:
            with sock:
                self._converse(sock, raw)
        except h11.RemoteProtocolError as error:
            # A request that its client never finished ends in the middle; that is all that may be wrong with one.
            if "before declared body" not in str(error) and "peer unexpectedly closed" not in str(error) and \
                    "without sending complete message body" not in str(error):
                with self._lock:
                    self.errors.append((str(error), bytes(raw[-2000:])))
        except OSError:
            pass

    def _converse(self, sock, raw):
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=200_000)
        request, body = None, b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                if http.they_are_waiting_for_100_continue:
                    sock.sendall(http.send(h11.InformationalResponse(status_code=100, headers=[])))
                data = sock.recv(65536)
                raw += data
                http.receive_data(data)
            elif isinstance(event, h11.Request):
                request, body = event, b""
                with self._lock:
                    self.begun.append((event.method.decode(), event.target.decode("latin-1")))
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._answer(sock, http, request, body, event)
                raw.clear()
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return

    def _answer(self, sock, http, request, body, end):
        seen = Seen(request.method.decode(), request.target.decode("latin-1"), body)
        with self._lock:
            self._seen.append(seen)
            self.fields[seen.target] = [(name.decode(), value.decode("latin-1"))
                                        for name, value in list(request.headers) + list(end.headers)]
        text = b"seen\n"
        head = h11.Response(status_code=200, headers=[("X-Saw", f"{seen.method} {seen.target}".encode("latin-1")),
                                                      ("Content-Length", str(len(text)))])
        out = http.send(head)
        if seen.method != "HEAD":
            out += http.send(h11.Data(data=text))
        out += http.send(h11.EndOfMessage()) or b""
        sock.sendall(out)
        if http.our_state is h11.DONE and http.their_state is h11.DONE:
            http.start_next_cycle()

    def close(self):
        self._listener.close()
