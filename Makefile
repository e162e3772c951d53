# Everything a person does with this repository, one word each. `make help` lists the words.

SHELL := /bin/sh
# etcd-client's build runs protoc; aws-lc and SQLite are compiled from C; the binding of MIT Kerberos is made by libclang.
BUILD_PACKAGES := gcc libc6-dev protobuf-compiler libprotobuf-dev libkrb5-dev pkg-config libclang-dev
# Real peers for the tests, started by them on loopback: etcd, slapd, a KDC, Dovecot, Postfix, Exim, swaks, openssl, Glewlwyd; wrong clocks by libfaketime;
# a browser that reads the admin centre.
TEST_PACKAGES := $(BUILD_PACKAGES) etcd-server etcd-client libfaketime swaks libnet-ssleay-perl dovecot-imapd dovecot-lmtpd postfix python3 \
	python3-grpcio python3-grpc-tools \
	mmdebstrap openssl dpkg-dev binutils slapd ldap-utils libdb5.3 libgnutls-dane0 libnsl2 krb5-kdc krb5-admin-server libsasl2-modules-gssapi-mit \
	chromium chromium-driver
# Exim is not installed, because Postfix is; it is unpacked, and needs the libraries above.
TEST_UNPACKED := exim4-daemon-light exim4-base libidn12
# A provider of OpenID Connect, whose installation would ask about databases.
TEST_PROVIDER := glewlwyd glewlwyd-common libcbor0.8 libconfig9 libcurl3-gnutls libhoel1.4 libiddawc1.1 libjansson4 liboath0 liborcania2.3 \
	libmariadb3 libmicrohttpd12 libpq5 librhonabwy1.1 libulfius2.7 libyder2.0
# Docker is not among them: there is more than one way to have it. Its test says so; POSTROAD_COMPOSE=off leaves that out.
# Postfix and the libraries of the servers that the benchmark unpacks beside it.
BENCH_PACKAGES := postfix python3 strace libdb5.3 libgnutls-dane0 libnsl2 libevent-2.1-7
NEXTEST := cargo nextest

# What `make image` and `make deb` take: debug, which `make build` builds, or release.
PROFILE ?= debug
export BASE COMPOSE POSTROAD_NETWORK POSTROAD_DELAY PERIMETER

.PHONY: size attack fuzz sbom help build demo image deb up status down test test-images explore test-compose test-controller test-upgrade soak soak-compose check lint fmt fmt-check deny bench bench-memory bench-parts packages bench-packages test-packages nextest

help:  ## Lists the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

packages:
	@deploy/packages.sh $(BUILD_PACKAGES)

test-packages:
	@deploy/packages.sh $(TEST_PACKAGES)
	@deploy/unpack.sh target/peers/exim $(TEST_UNPACKED)
	@deploy/unpack.sh target/peers/glewlwyd $(TEST_PROVIDER)
	@deploy/axe.sh target/peers/axe
	@deploy/k8s/check.sh tools || [ $$? -eq 3 ]

# What the containers of the tests are made of beside the program: fetched and built before, and not in the time of a test.
test-images: test-packages
	@[ "$$POSTROAD_COMPOSE" = off ] || ! docker info >/dev/null 2>&1 || { deploy/docker/image.sh - test && \
		docker build --quiet --tag postroad-debian:test tests/integration/tests/production/debian; } || \
		echo "images that tests need were not built; those tests will say so" >&2

bench-packages:
	@deploy/packages.sh $(BUILD_PACKAGES) $(BENCH_PACKAGES)

nextest:
	@cargo nextest --version >/dev/null 2>&1 || { echo "installing cargo-nextest"; cargo install --locked --quiet cargo-nextest; }

build: packages  ## Builds the postroad command: target/debug/postroad.
	cargo build -p postroad

demo: packages  ## Runs two sites and a perimeter on this machine, sends mail every way it can take, and shows each message's way and why.
	cargo run --quiet -p postroad -- lab demo

image: packages  ## Builds the container images: PROFILE=release for a small one, MINIMAL=1 for the program alone, the same each time.
	@[ "$(BASE)$(MINIMAL)" ] || deploy/packages.sh mmdebstrap binutils
ifdef MINIMAL
	@deploy/packages.sh binutils python3
	@mkdir -p target/image
	deploy/docker/minimal.py $$(deploy/docker/program.sh $(PROFILE) target/reproducible) target/image/postroad.tar postroad:$(PROFILE)
else
	cargo build -p postroad $(if $(filter release,$(PROFILE)),--release)
	deploy/docker/image.sh target/$(PROFILE)/postroad
endif

deb: packages  ## Builds the Debian package into target/debian: PROFILE=release for a small one.
	@deploy/packages.sh dpkg-dev binutils
	cargo build -p postroad $(if $(filter release,$(PROFILE)),--release)
	COMPRESS=$(if $(filter release,$(PROFILE)),xz,gzip) deploy/debian/build.sh target/$(PROFILE)/postroad target/debian

up:  ## Runs two sites in containers, with a network each, three etcd, an internet; PERIMETER=1: an Edge server between firewalls, too.
	@deploy/compose/compose.sh check
	@docker image inspect postroad:dev >/dev/null 2>&1 || $(MAKE) --no-print-directory image
	@deploy/compose/compose.sh up

status:  ## Says what of it is healthy, which configuration each service works by, and what waits.
	@deploy/compose/compose.sh status

down:  ## Ends what `make up` started; VOLUMES=1 removes mail and configuration too.
	@deploy/compose/compose.sh down $(if $(VOLUMES),all)

# The program is built of the same crates as its tests (tests/tidy holds it), so that nothing is compiled twice; and before
# they start: the tests of the whole road run it and never build it.
# Properties ask the same questions in every run of the suite, so that it fails by what was changed only. Half of the time of a test
# is a service's waiting: twice as many as there are cores keep these busy.
test: test-packages test-images nextest  ## Runs every test.
	cargo build --workspace --all-targets
	PROPTEST_RNG_SEED=1 $(NEXTEST) run --workspace --no-fail-fast --test-threads $$((2 * $$(nproc)))
	cargo test --workspace --doc --quiet

explore: test-packages  ## Asks the properties new questions, CASES of each (20,000); a failure prints the input and what repeats it.
	PROPTEST_CASES=$(or $(CASES),20000) PROPTEST_MAX_GLOBAL_REJECTS=10000000 cargo test --lib --tests --no-fail-fast \
		-p categorizer -p envelope -p mailbox-store -p mailbox-submission -p message -p net -p organization -p queue \
		-p routing -p scheduler -p smtp-session

fuzz: packages  ## Gives a parser inputs that nobody would send: TARGET=address SECONDS=300; without TARGET lists them.
	cargo run --release --quiet -p fuzz -- $(TARGET) $(SECONDS)

test-compose: test-images  ## The test of the containers alone, with what it measures.
	cargo build --workspace --bins
	cargo test -p integration --test compose -- --nocapture

# Kubernetes' own API server for custom resources is built first, some minutes, beside the system; without it the tests say so.
test-controller: test-packages nextest  ## Tries the controller against Kubernetes' API server with etcd below it, and the manifests.
	@deploy/k8s/api-server.sh target/peers/kubernetes || [ $$? -eq 3 ]
	cargo build -p postroad
	$(NEXTEST) run -p controller --no-fail-fast
	POSTROAD=target/debug/postroad deploy/k8s/check.sh || [ $$? -eq 3 ]

test-upgrade: packages  ## Upgrades two servers service by service while mail goes, and back: PREVIOUS=program of the version before.
	@[ -x "$(PREVIOUS)" ] || { echo "name the program of the version before: make test-upgrade PREVIOUS=/usr/bin/postroad" >&2; exit 2; }
	cargo build -p postroad
	tests/integration/upgrade.sh $(PREVIOUS) target/debug/postroad $(or $(ROUNDS),1)

soak-compose: test-images  ## The same with every fault as long as in production: about a quarter of an hour.
	cargo build --workspace --bins
	POSTROAD_COMPOSE=long cargo test -p integration --test compose -- --nocapture

soak: test-packages  ## Kills and confuses real processes, fills their disks, attacks them for an hour, with a ledger (make soak SOAK="--help").
	cargo build --release --workspace --bins
	target/release/soak $(SOAK)

attack: test-packages  ## Attacks a running organization as docs/security.md says, for MINUTES (5); a short run is in `make test`.
	cargo build --release --workspace --bins
	target/release/soak attack clients --minutes $(or $(MINUTES),5)

check: packages  ## Type-checks everything.
	cargo check --workspace --all-targets

lint: packages fmt-check deny  ## Formatting, clippy and dependencies.
	cargo clippy --workspace --all-targets -- -D warnings

fmt:  ## Formats the source.
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

deny:  ## Licences, sources, banned and yanked crates; advisories where their database can be reached, and aloud where not.
	@.ci/deny

sbom:  ## Lists everything that the program is made of: target/postroad.cdx.json (CycloneDX).
	@.ci/sbom

bench: bench-packages  ## Measures Postroad beside Postfix, Exim and OpenSMTPD (25 minutes; QUICK=1: three).
	cargo build --release --workspace --bins
	python3 tests/bench/bench.py $(if $(QUICK),--quick,--results docs/bench.json --chart docs/bench.svg) $(BENCH)

bench-memory: bench-packages  ## Transport's memory over ten minutes of full load, and with a million messages waiting.
	cargo build --release --workspace --bins
	python3 tests/bench/endure.py load
	python3 tests/bench/endure.py queue

SIZE ?= 1000000
EDGE_SIZE ?= 200000
size: test-packages  ## Measures a directory of SIZE=1000000 recipients in a file and in etcd, what its messages cost, and EdgeSync of EDGE_SIZE=200000.
	cargo build --release -p postroad -p bench -p directory --bins --example size_bench
	python3 tests/bench/size.py $(SIZE)
	python3 tests/bench/recipients.py $(SIZE)
	tests/bench/edge.sh $(EDGE_SIZE)

bench-parts: test-packages  ## Measures routing, the queue, the implicit connector and one SMTP session by stage.
	cargo run --release -p routing --example tables_bench
	cargo run --release -p testkit --example follow_bench
	cargo run --release -p queue --example spool_bench
	cargo run --release -p rpc --example transfer_bench
	cargo run --release -p transport --example stages_bench
