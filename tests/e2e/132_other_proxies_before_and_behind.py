"""TLS that is passed on between other people's programs: HAProxy in front says the client by PROXY v2, HAProxy and nginx
behind believe the header that we write, and curl asks."""

import hashlib
import os
import re

import pytest

from lab.app_origin import AppOrigin
from lab.place import free_port, tool
from lab.process import LabError, run, wait_until
from lab.servers import Server

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

BALANCER = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout check 5s
listen tls
    bind {address}:{port}
    server edge {edge} check inter 200ms check-send-proxy send-proxy-v2 proxy-v2-options authority,crc32c,unique-id,ssl
"""

# Says what it was told; a connection without a header it closes.
TELLER = """\
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend tls
    bind {address}:{port} accept-proxy ssl crt {pem}
    http-request return status 200 content-type text/plain lf-string \
"%[src]:%[src_port] %[dst]:%[dst_port] %[fc_pp_authority] %[ssl_fc_sni]"
"""

SORTER = """\
daemon off;
{user}
load_module %s;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
stream {{
    log_format seen '$proxy_protocol_addr $ssl_preread_server_name $ssl_preread_alpn_protocols $bytes_received';
    access_log {directory}/seen seen;
    map $ssl_preread_server_name $server {{ sorted.brand.test {app}; }}
    server {{ listen {address}:{port} proxy_protocol; ssl_preread on; proxy_pass $server; }}
}}
""" % STREAM_MODULE


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.platform = lab.prepare(edges=1)
        self.edge, self.net = self.platform.edge, self.platform.ground.net
        self.authority = self.platform.ground.authority
        chain, key = self.authority.issue("servers", "DNS:*.brand.test")
        pem = os.path.join(lab.folder("pem"), "pem")
        with open(pem, "w") as file, open(chain) as first, open(key) as second:
            file.write(first.read() + second.read())
        os.chmod(pem, 0o644)
        os.chmod(os.path.dirname(pem), 0o755)
        self.large = os.path.join(lab.folder("large"), "large")
        with open(self.large, "wb") as file:
            file.write(os.urandom(8 << 20))
        more = f"location = /large {{ alias {self.large}; }}"
        address = f"{self.net}41"
        self.teller = lab.use(Server("teller", lab.folder("teller"), address, free_port(address), TELLER,
                                     ["haproxy", "-db", "-f", "{config}"], pem=pem)).start()
        self.web = lab.use(AppOrigin(lab.folder("web"), "web", f"{self.net}42", certificate=chain, key=key,
                                     options=" proxy_protocol http2", more=more)).start()
        self.app = lab.use(AppOrigin(lab.folder("app"), "app", f"{self.net}43", certificate=chain, key=key)).start()
        self.port = free_port(self.edge.address)
        self.platform.start(without=[self.platform.pebble, self.platform.acme])
        routes = [f"told.brand.test {self.teller.address}:{self.teller.port} check=tls interval=500ms proxy=v2",
                  f"web.brand.test {self.web.address}:{self.web.port} check=tls interval=500ms proxy=v2"]
        if os.path.exists(STREAM_MODULE):
            address = f"{self.net}44"
            self.sorter = lab.use(Server("sorter", lab.folder("sorter"), address, free_port(address), SORTER,
                                         ["nginx", "-c", "{config}", "-p", "{directory}", "-e", "stderr"],
                                         app=f"{self.app.address}:{self.app.port}")).start()
            routes.append(f"sorted.brand.test {self.sorter.address}:{self.sorter.port} check=tcp interval=500ms proxy=v2")
        self.edge.restart(listen_passthrough=f"{self.edge.address}:{self.port}", proxy_protocol="required",
                          proxy_trust="127.0.0.1", access_log="on", passthrough=routes)
        address = f"{self.net}45"
        self.balancer = lab.use(Server("balancer", lab.folder("balancer"), address, free_port(address), BALANCER,
                                       ["haproxy", "-db", "-f", "{config}"], edge=f"{self.edge.address}:{self.port}")).start()

    def curl(self, name, source, path="/", *words):
        """What curl gets of a name, as a client with that address, through the HAProxy in front."""
        to = f"{name}:443:{self.balancer.address}:{self.balancer.port}"
        return run([tool("curl"), "--silent", "--show-error", "--fail", "--max-time", "30", "--cacert", self.authority.ca,
                    "--interface", source, "--connect-to", to, *words, f"https://{name}{path}"])


@pytest.fixture(scope="module")
def scene(shared_lab):
    return Scene(shared_lab)


def test_haproxy_behind_is_told_what_haproxy_in_front_said(scene):
    for client in ("127.7.7.1", "127.7.7.2"):
        source, destination, authority, sni = scene.curl("told.brand.test", client).split(" ")
        assert source.split(":")[0] == client
        assert destination == f"{scene.balancer.address}:{scene.balancer.port}"
        assert (authority, sni) == ("told.brand.test", "told.brand.test")


def test_nginx_behind_is_told_too_and_speaks_http2_unopened(scene):
    assert scene.curl("web.brand.test", "127.7.7.3", "/two", "--http2", "--write-out", " %{http_version}") == "web 2"
    (line,) = scene.web.wait_asked(1, "/two")
    assert line[3:5] == ("web.brand.test", "127.7.7.3")
    got = os.path.join(scene.lab.folder("got"), "large")
    scene.curl("web.brand.test", "127.7.7.3", "/large", "--output", got)
    with open(got, "rb") as file, open(scene.large, "rb") as wanted:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(wanted.read()).digest()


def test_checks_with_a_header_of_their_own_find_both_well(scene):
    before = scene.edge.metric("postern_edge_upstream_checks_total", result="ok")
    wait_until(lambda: scene.edge.metric("postern_edge_upstream_checks_total", result="ok") > before + 6, 20, "checks")
    assert scene.edge.metric("postern_edge_upstream_checks_total", result="failed") == 0
    assert not scene.edge.process.logged("an upstream address is down")


def test_nginx_that_sorts_by_name_itself_finds_the_whole_hello(scene):
    if not os.path.exists(STREAM_MODULE):
        pytest.skip("nginx has no stream module here: libnginx-mod-stream")
    assert scene.curl("sorted.brand.test", "127.7.7.4") == "app"
    seen = os.path.join(scene.sorter.directory, "seen")
    line = wait_until(lambda: re.search(r"^(127\.7\.7\.4) (\S+) (\S+) \d+$", open(seen).read(), re.M), 5, "nginx's line")
    assert line.groups() == ("127.7.7.4", "sorted.brand.test", "h2,http/1.1")


def test_who_passes_the_balancer_by_is_closed(scene):
    before = scene.edge.metric("postern_edge_refused_total", cause="proxy_missing")
    to = f"told.brand.test:443:{scene.edge.address}:{scene.port}"
    with pytest.raises(LabError, match="exit 35"):
        run([tool("curl"), "--silent", "--max-time", "20", "--insecure", "--connect-to", to, "https://told.brand.test/"])
    wait_until(lambda: scene.edge.metric("postern_edge_refused_total", cause="proxy_missing") == before + 1, 10, "it to be counted")
