"""The mail servers that are measured: each takes mail by SMTP, makes it durable, and sends it on to the sink.

All run from the files of this folder, on loopback addresses of their own, with queues below one directory on one disk.
Postfix is the installed one with its own configuration and queue. Exim and OpenSMTPD cannot be installed beside it: their
Debian packages are unpacked into a cache and run over it in a mount namespace of their own.
"""

import os
import pathlib
import shutil
import subprocess

from measure import Failed, Process, wait_for_port

PORT = 2525
# Loopback addresses, one for each role.
ADDRESSES = {"sink": "127.79.0.1", "Postfix": "127.79.0.2", "Exim": "127.79.0.3", "OpenSMTPD": "127.79.0.4",
             "A": "127.79.0.10", "B": "127.79.0.11"}
SINK = (ADDRESSES["sink"], PORT)
PACKAGES = {
    "Exim": ["exim4-base", "exim4-daemon-light", "libidn12"],
    "OpenSMTPD": ["opensmtpd"],
}


class Server:
    """A mail server between source and sink."""

    name = ""
    address = None

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.processes = []

    def start(self):
        """Starts with an empty queue."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        self.prepare()
        self.launch()
        wait_for_port(self.address)

    def run(self, command, **more):
        self.processes.append(Process(command, self.place / "log", **more))

    @property
    def roots(self):
        return [process.pid for process in self.processes]

    def stop(self):
        while self.processes:
            self.processes.pop().stop()


class Postfix(Server):
    """Tuned: no chroot, no name lookups, many processes, connections kept and delivered over in parallel."""

    name = "Postfix"
    address = (ADDRESSES["Postfix"], PORT)

    def prepare(self):
        etc = self.place / "etc"
        etc.mkdir()
        for folder in ("queue", "data"):
            (self.place / folder).mkdir()
        shutil.chown(self.place / "data", "postfix")
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.place / "queue", "data_directory": self.place / "data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin", "mail_owner": "postfix",
            "setgid_group": "postdrop", "inet_interfaces": "all", "inet_protocols": "ipv4",
            "myhostname": "postfix.bench.example", "mydestination": "", "mynetworks": "127.0.0.0/8",
            "alias_maps": "", "local_recipient_maps": "", "relayhost": "[%s]:%d" % SINK,
            "default_process_limit": "400", "smtpd_peername_lookup": "no", "disable_dns_lookups": "yes",
            "smtp_host_lookup": "native", "smtpd_client_connection_count_limit": "0",
            "smtpd_client_connection_rate_limit": "0", "in_flow_delay": "0", "smtp_tls_security_level": "none",
            "smtpd_tls_security_level": "none", "initial_destination_concurrency": "20",
            "default_destination_concurrency_limit": "64", "smtp_destination_concurrency_limit": "64",
            "smtp_connection_cache_on_demand": "yes", "smtp_connection_reuse_count_limit": "1000",
            "qmgr_message_active_limit": "50000", "message_size_limit": "52428800", "maillog_file": self.place / "maillog",
            "maillog_file_prefixes": self.place,
        }
        (etc / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        port = "%s:%d" % self.address
        services = [
            (port, "inet", "n", "-", "n", "-", "-", "smtpd"), ("cleanup", "unix", "n", "-", "n", "-", "0", "cleanup"),
            ("qmgr", "unix", "n", "-", "n", "300", "1", "qmgr"),
            ("rewrite", "unix", "-", "-", "n", "-", "-", "trivial-rewrite"),
            ("bounce", "unix", "-", "-", "n", "-", "0", "bounce"), ("defer", "unix", "-", "-", "n", "-", "0", "bounce"),
            ("trace", "unix", "-", "-", "n", "-", "0", "bounce"), ("proxymap", "unix", "-", "-", "n", "-", "-", "proxymap"),
            ("smtp", "unix", "-", "-", "n", "-", "-", "smtp"), ("relay", "unix", "-", "-", "n", "-", "-", "smtp"),
            ("retry", "unix", "-", "-", "n", "-", "-", "error"), ("error", "unix", "-", "-", "n", "-", "-", "error"),
            ("scache", "unix", "-", "-", "n", "-", "1", "scache"), ("anvil", "unix", "-", "-", "n", "-", "1", "anvil"),
            ("postlog", "unix-dgram", "n", "-", "n", "-", "1", "postlogd"),
        ]
        (etc / "master.cf").write_text("".join("  ".join(fields) + "\n" for fields in services))
        checked = subprocess.run(["postfix", "-c", str(etc), "check"], capture_output=True, text=True)
        if checked.returncode:
            raise Failed("Postfix does not like its settings: " + checked.stderr)

    def launch(self):
        self.run(["/usr/lib/postfix/sbin/master", "-c", self.place / "etc", "-d"])


class Unpacked(Server):
    """A server out of Debian packages that are not installed."""

    def prepare(self):
        tree, self.root = self.place / "tree", self.place / "root"
        for folder in (tree, self.root, self.place / "work", self.place / "queue"):
            folder.mkdir()
        cache = self.place.parent / "packages"
        cache.mkdir(exist_ok=True)
        for package in PACKAGES[self.name]:
            if not list(cache.glob(f"{package}_*.deb")):
                got = subprocess.run(["apt-get", "download", "-q", package], cwd=cache, capture_output=True, text=True)
                if got.returncode:
                    raise Failed(f"apt-get download {package}: {got.stderr.strip()}")
            archive = sorted(cache.glob(f"{package}_*.deb"))[-1]
            subprocess.run(["dpkg", "-x", archive, tree], check=True)
        # Over the machine's own tree, where these are links into /usr.
        for folder in ("lib", "bin", "sbin"):
            if (tree / folder).exists():
                shutil.copytree(tree / folder, tree / "usr" / folder, dirs_exist_ok=True, symlinks=True)
                shutil.rmtree(tree / folder)
        (tree / "etc").mkdir(exist_ok=True)
        for table in ("passwd", "group"):
            text = pathlib.Path("/etc", table).read_text()
            (tree / "etc" / table).write_text(text + "".join(line + "\n" for line in self.accounts(table)))
        # No name is ever looked up in vain: nobody listens there, which is told at once.
        (tree / "etc" / "resolv.conf").write_text("nameserver 127.79.0.255\n")
        (tree / "etc" / "hosts").write_text("127.0.0.1 localhost\n%s sink.example\n" % SINK[0])
        self.configure(tree)

    def chrooted(self, command, queue):
        """Runs a command with the packages laid over the machine's files and the queue in its place."""
        script = (
            'set -e; mount -t overlay overlay -o "lowerdir=/,upperdir=$1/tree,workdir=$1/work" "$1/root"; '
            'for each in proc dev sys; do mount --rbind "/$each" "$1/root/$each"; done; '
            'mkdir -p "$1/root$2"; mount --bind "$1/queue" "$1/root$2"; root="$1/root"; shift 2; exec chroot "$root" "$@"'
        )
        return ["unshare", "--mount", "sh", "-c", script, "sh", self.place, queue, *command]


class Exim(Unpacked):
    """As small a configuration as relays everything, many connections at once, deliveries at once."""

    name = "Exim"
    address = (ADDRESSES["Exim"], PORT)
    user = 64999

    def accounts(self, table):
        mail = f"Debian-exim:x:{self.user}:"
        return [mail + (f"{self.user}::/var/spool/exim4:/bin/false" if table == "passwd" else "")]

    def configure(self, tree):
        os.chown(self.place / "queue", self.user, self.user)
        configuration = f"""
exim_path = /usr/sbin/exim4
primary_hostname = exim.bench.example
local_interfaces = {self.address[0]}
daemon_smtp_ports = {PORT}
spool_directory = /var/spool/exim4
log_file_path = /var/spool/exim4/%slog
log_selector = -all
acl_smtp_rcpt = accept
acl_smtp_data = accept
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtp_accept_max = 1000
smtp_accept_max_per_connection = 1000000
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 1000
queue_run_max = 50
remote_max_parallel = 10
split_spool_directory = true
never_users =
message_size_limit = 50M
smtp_enforce_sync = false
keep_environment =

begin acl
accept:
  accept

begin routers
sink:
  driver = manualroute
  route_list = * {SINK[0]}
  self = send
  transport = sink

begin transports
sink:
  driver = smtp
  port = {SINK[1]}
  hosts_try_prdr =
  tls_tempfail_tryclear = true
  hosts_avoid_tls = *
  allow_localhost

begin retry
*  *  F,2h,1m
"""
        (tree / "etc" / "exim4").mkdir(exist_ok=True)
        # The path that Debian compiled in: any other would cost Exim its rights.
        (tree / "var" / "lib" / "exim4").mkdir(parents=True, exist_ok=True)
        file = tree / "etc" / "exim4" / "exim4.conf"
        file.write_text(configuration)
        file.chmod(0o644)

    def launch(self):
        self.run(self.chrooted(["/usr/sbin/exim4", "-bdf", "-q1m"], "/var/spool/exim4"))


class OpenSmtpd(Unpacked):
    """Its file queue, everything relayed to the sink, limits out of the way.

    By default it opens a connection of a route every five seconds at most, sends a hundred messages over each, and holds
    back whatever is more than fifty messages for a destination.
    """

    name = "OpenSMTPD"
    address = (ADDRESSES["OpenSMTPD"], PORT)
    users = {"opensmtpd": 64997, "opensmtpq": 64998}

    def accounts(self, table):
        rest = "::/var/lib/opensmtpd/empty:/bin/false"
        return [f"{name}:x:{number}:" + (f"{number}{rest}" if table == "passwd" else "")
                for name, number in self.users.items()]

    def configure(self, tree):
        (tree / "var" / "lib" / "opensmtpd" / "empty").mkdir(parents=True, exist_ok=True)
        configuration = f"""
queue ttl 1h
smtp max-message-size 50M
smtp limit max-mails 1000000
smtp limit max-rcpt 1000000
mta max-deferred 1000000
mta limit max-conn-per-host 64 max-conn-per-route 64 max-conn-per-source 64 max-conn-per-connector 64 max-conn-per-relay 64 \
  max-conn-per-domain 64 session-mail-max 1000000 reconn-delay-route 0 conn-delay-host 0 conn-delay-route 0 conn-delay-source 0 \
  conn-delay-connector 0 conn-delay-relay 0 conn-delay-domain 0 session-transaction-delay 0 \
  task-hiwat 100000 task-lowat 50000 task-release 10000
listen on {self.address[0]} port {PORT} hostname opensmtpd.bench.example
action "sink" relay host smtp://{SINK[0]}:{SINK[1]}
match from any for any action "sink"
"""
        (tree / "etc" / "smtpd.conf").write_text(configuration)
        (tree / "etc" / "mailname").write_text("opensmtpd.bench.example\n")

    def launch(self):
        os.chmod(self.place / "queue", 0o711)
        self.run(self.chrooted(["/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf"], "/var/spool/smtpd"))


ORGANIZATION = """
acceptedDomains: [{{name: bench, domainName: bench.example, default: true}}]
sites: [{{name: Here}}]
servers:
{servers}receiveConnectors:
  - {{name: Load, server: A, transportRole: {role}, bindings: ['{address}:{port}'], authMechanism: [ExternalAuthoritative],
     permissionGroups: [ExchangeServers], maxInboundConnection: 5000, maxInboundConnectionPerSource: unlimited,
     maxInboundConnectionPercentagePerSource: 100, maxMessageSize: 50MB}}
sendConnectors:
  - {{name: Sink, addressSpaces: ['*'], sourceTransportServers: [{source}], dnsRoutingEnabled: false, ignoreSTARTTLS: true,
     smartHosts: ['[{sink}]'], port: {sink_port}, smtpMaxMessagesPerConnection: 1000, frontendProxyEnabled: {proxied},
     maxMessageSize: 50MB}}
"""
TRANSPORT = "maxPerDomainOutboundConnections: 64, queueGlitchRetryInterval: '00:00:01'"
UNBOUNDED = "maxConnectionRatePerMinute: 2147483647"
SERVER = "  - {{name: {name}, fqdn: {name}.bench.example, site: Here, %s}}\n"
# The second is for a program of before there was such a rate.
SERVERS = [SERVER % f"transport: {{{{{TRANSPORT}, {UNBOUNDED}}}}}, frontendTransport: {{{{{UNBOUNDED}}}}}",
           SERVER % f"transport: {{{{{TRANSPORT}}}}}"]
NOT_KNOWN = "there is no such property"


class Postroad(Server):
    """Services of one or two servers, one process each, with the embedded directory."""

    role, source, proxied = "HubTransport", "A", False
    services = {"A": ["transport"]}
    # No port that the settings put something else in the place of.
    address = (ADDRESSES["A"], PORT + 1)

    def __init__(self, place, program):
        super().__init__(place)
        self.program = program

    def postroad(self, *arguments):
        command = [str(self.program), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.place, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{' '.join(command)}: {done.stderr or done.stdout}")

    def prepare(self):
        self.postroad("cert", "init", "--forest", "bench.example", "--path", "authority")
        for server in self.services:
            self.postroad("cert", "issue", "--ca", "authority", "--server", server, "--fqdn",
                          f"{server}.bench.example", "--path", f"identity-{server}")
            (self.place / f"{server}.toml").write_text(self.settings(server))
        try:
            self.apply(SERVERS[0])
        except Failed as error:
            if NOT_KNOWN not in str(error):
                raise
            self.apply(SERVERS[1])

    def apply(self, server):
        servers = "".join(server.format(name=name) for name in self.services)
        organization = ORGANIZATION.format(servers=servers, role=self.role, address=self.address[0], port=self.address[1],
                                           source=self.source, proxied=str(self.proxied).lower(), sink=SINK[0],
                                           sink_port=SINK[1])
        (self.place / "organization.yaml").write_text(organization)
        self.postroad("apply", "organization.yaml", "--settings", "A.toml", "--yes")

    def settings(self, server):
        host = ADDRESSES[server]
        services = "".join(
            f"[services.{service}]\norganization = \"{host}:{port}\"\nsmtp = \"{host}:0\"\nsubmission = \"{host}:0\"\n"
            for service, port in (("transport", 7525), ("frontend-transport", 5717)))
        return (f"server = \"{server}\"\nforest = \"bench.example\"\nstate = \"{self.place}/state-{server}\"\n"
                f"[directory]\nkind = \"embedded\"\npath = \"{self.place}/directory.db\"\n"
                f"[identity]\npath = \"{self.place}/identity-{server}\"\n{services}")

    def launch(self):
        for server, services in self.services.items():
            for service in services:
                command = [self.program, service, "--settings", self.place / f"{server}.toml", "--log", "warn"]
                self.run(command, cwd=self.place)


class Transport(Postroad):
    """Transport alone: its own SMTP in, a Send connector out."""

    name = "Postroad Transport"


class FrontAndTransport(Postroad):
    """What an installation has: Front End Transport and Transport, the implicit connector between them."""

    name = "Postroad front end + Transport"
    role = "FrontendTransport"
    services = {"A": ["transport", "frontend-transport"]}


class TwoServers(Postroad):
    """One server takes the mail, the other has the Send connector."""

    name = "Postroad two servers"
    source = "B"
    services = {"B": ["transport"], "A": ["transport"]}


class ThroughFrontEnd(Postroad):
    """Out through the front end (FrontendProxyEnabled)."""

    name = "Postroad out through front end"
    proxied = True
    services = {"A": ["frontend-transport", "transport"]}


OTHERS = [Postfix, Exim, OpenSmtpd]
OURS = [Transport, FrontAndTransport, TwoServers, ThroughFrontEnd]
